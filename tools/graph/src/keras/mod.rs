//! Keras: `model_config` and weights to a graph.
