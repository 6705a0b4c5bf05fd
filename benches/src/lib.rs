//! keyward's benchmarks: `keyward-load` over QUIC, and the index beside a bare hash map.
