//! Every step of a release's life is one upgrade that a mesh may learn in any order.
