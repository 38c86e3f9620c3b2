//! Shares of holders who are elsewhere: encrypted to a key that lives in this process only.
//!
//! Nothing of the ceremony can be opened afterwards: the key was never written and is gone with the
//! process.

use std::io::BufRead;
use std::path::Path;

use anyhow::Context as _;

use super::envelope::{self, ARMORED_BYTES_MAX, BEGIN, END, Identities};
use super::file;
use super::share::{Gathered, Share};

/// Longest line of an armored file or a path, bytes.
const LINE_BYTES_MAX: u64 = 4096;

/// Adds the shares in these files.
///
/// # Errors
///
/// The first that cannot be opened or does not belong, by name.
pub(super) fn from_files(
    paths: &[std::path::PathBuf],
    identities: &Identities,
    gathered: &mut Gathered,
) -> anyhow::Result<()> {
    for path in paths {
        add_file(path, identities, gathered)?;
    }
    Ok(())
}

fn add_file(path: &Path, identities: &Identities, gathered: &mut Gathered) -> anyhow::Result<()> {
    let armored = file::read_text(path, ARMORED_BYTES_MAX)?;
    add(&armored, &format!("{path:?}"), identities, gathered)
}

fn add(
    armored: &str,
    source: &str,
    identities: &Identities,
    gathered: &mut Gathered,
) -> anyhow::Result<()> {
    let plain = envelope::decrypt(armored, identities).with_context(|| source.to_owned())?;
    let share = Share::from_text(&plain).with_context(|| source.to_owned())?;
    eprintln!("BREAK-GLASS: opened {}.", share.described());
    gathered.add(share, source)
}

/// Reads names of files, or pasted armored files, until no share is missing. A wrong one is named
/// and asked for again.
///
/// # Errors
///
/// When the input ends before.
pub(super) fn from_input(
    input: &mut dyn BufRead,
    identities: &Identities,
    gathered: &mut Gathered,
) -> anyhow::Result<()> {
    while gathered.missing() > 0 {
        eprintln!(
            "{} more to come. Paste what a holder sent, or type the name of its file:",
            gathered.missing()
        );
        let Some(line) = read_line(input)? else {
            anyhow::bail!(
                "the input ended with {} shares missing: nothing was signed",
                gathered.missing()
            );
        };
        let added = match line.trim() {
            "" => continue,
            BEGIN => {
                let armored = pasted(input)?;
                add(&armored, "what was pasted", identities, gathered)
            }
            name => add_file(Path::new(name), identities, gathered),
        };
        if let Err(error) = added {
            eprintln!("not taken: {error:#}");
        }
    }
    Ok(())
}

/// The rest of an armored file whose first line was read.
fn pasted(input: &mut dyn BufRead) -> anyhow::Result<String> {
    let mut armored = format!("{BEGIN}\n");
    while let Some(line) = read_line(input)? {
        let line = line.trim();
        armored.push_str(line);
        armored.push('\n');
        if line == END || armored.len() > ARMORED_BYTES_MAX {
            break;
        }
    }
    Ok(armored)
}

fn read_line(input: &mut dyn BufRead) -> anyhow::Result<Option<String>> {
    use std::io::Read as _;
    let mut line = String::new();
    let count = input.take(LINE_BYTES_MAX).read_line(&mut line)?;
    Ok((count > 0).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::super::share::tests::sealed;
    use super::*;

    #[test]
    fn shares_are_taken_as_files_and_pasted_and_a_wrong_one_is_asked_for_again() {
        let key = age::x25519::Identity::generate();
        let identities = Identities::only(&key);
        let (authority, shares) = sealed(2, 3);
        let armored = |at: usize| {
            let text = shares[at].to_text().unwrap();
            envelope::encrypt(&text, &key.to_public()).unwrap()
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("share.age");
        std::fs::write(&path, armored(1)).unwrap();
        let file = path.display();
        let input = format!("/nowhere\n\n{file}\n{file}\n{}", armored(0));
        let mut gathered = Gathered::default();
        from_input(&mut input.as_bytes(), &identities, &mut gathered).unwrap();
        let joined = gathered.join().unwrap();
        assert_eq!(
            joined.public_key().unwrap(),
            authority.public_key().unwrap()
        );
    }

    #[test]
    fn an_input_that_ends_early_signs_nothing() {
        let key = age::x25519::Identity::generate();
        let mut gathered = Gathered::default();
        let error = from_input(
            &mut "/nowhere\n".as_bytes(),
            &Identities::only(&key),
            &mut gathered,
        );
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("nothing was signed")
        );
    }
}
