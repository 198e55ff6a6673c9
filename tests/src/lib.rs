//! Golden, conformance, transcript and replay tests over the whole workspace.
