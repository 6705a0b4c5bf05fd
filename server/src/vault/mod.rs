//! Door codes' digits, sealed.
