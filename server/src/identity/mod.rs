//! Who somebody is: the CA, certificates, principals.
