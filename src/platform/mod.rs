//! What is Hermes' own: its paths, the environment contract, what its guardian watches. Other platforms join here.

pub mod contract;
pub mod doctor;
pub mod dotenv;
pub mod guardian;
pub mod yaml;
