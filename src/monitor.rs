//! Wiring only: stages joined by bounded channels, drained on stop.
