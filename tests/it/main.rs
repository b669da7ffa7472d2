//! One binary of integration tests.

mod proxy;
