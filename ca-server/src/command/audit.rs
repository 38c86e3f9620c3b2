//! Stub.
/// Stub
#[derive(Debug, clap::Args)]
pub struct AuditCommand {}
impl AuditCommand {
    /// stub
    /// # Errors
    /// x
    pub fn run(&self) -> anyhow::Result<u8> {
        Ok(0)
    }
}
