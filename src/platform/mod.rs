//! What is Hermes' own: paths, the environment contract, checks. Others join here.
