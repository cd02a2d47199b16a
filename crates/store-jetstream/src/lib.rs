//! Keeps events in a stream of NATS JetStream.
