//! Backend, Program and Session: one trait over every inference engine.
