//! The instance identity document without what only concerns the node.

/// The path of the document.
pub const DOCUMENT: &str = "dynamic/instance-identity/document";

/// `document`, the real service's, with what SDKs need and no more, laid out in the same way. None if it is no such
/// document.
pub fn without_secrets(_document: &[u8]) -> Option<String> {
    None
}
