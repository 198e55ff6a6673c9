//! Changes of a graph that keep its answers.
