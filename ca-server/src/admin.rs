//! Stub.
#![expect(missing_docs, reason = "stub")]
pub fn listen(
    _: &crate::ledger::Ledger,
    _: &std::sync::Arc<dyn crate::store::Store>,
    _: &std::path::Path,
) -> anyhow::Result<()> {
    Ok(())
}
