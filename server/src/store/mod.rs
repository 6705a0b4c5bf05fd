//! What is durable: journal, snapshots, the persisted index.
