//! What a BPF object holds: its programs and its maps, read from the ELF file itself.

use std::fmt;

use anyhow::{Result, ensure};
use object::{
    Architecture, Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, SymbolKind, elf,
};

/// Where maps are declared: with BTF, and without (the log's).
const MAPS: [&str; 2] = [".maps", "maps"];
/// Functions that programs call.
const SUBPROGRAMS: &str = ".text";

/// The programs and maps of an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Section and name, in the order of the sections' names.
    programs: Vec<(String, String)>,
    maps: Vec<String>,
}

/// Reads an object.
pub(super) fn read(bytes: &[u8]) -> Result<Contents> {
    let file = object::File::parse(bytes)?;
    ensure!(
        file.architecture() == Architecture::Bpf,
        "it is made for another machine"
    );
    let mut contents = Contents::default();
    for section in file.sections() {
        let name = section.name()?;
        let symbols = file
            .symbols()
            .filter(|symbol| symbol.section_index() == Some(section.index()));
        if MAPS.contains(&name) {
            let named = symbols.filter(|symbol| symbol.kind() == SymbolKind::Data);
            contents
                .maps
                .extend(named.filter_map(|symbol| Some(symbol.name().ok()?.to_owned())));
        } else if name != SUBPROGRAMS && is_code(section.flags()) {
            let named = symbols.filter(|symbol| symbol.kind() == SymbolKind::Text);
            contents.programs.extend(
                named.filter_map(|symbol| Some((name.to_owned(), symbol.name().ok()?.to_owned()))),
            );
        }
    }
    contents.programs.sort();
    contents.maps.sort();
    Ok(contents)
}

fn is_code(flags: SectionFlags) -> bool {
    matches!(flags, SectionFlags::Elf { sh_flags } if sh_flags & u64::from(elf::SHF_EXECINSTR) != 0)
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .programs
            .iter()
            .map(|(section, _)| section.len())
            .max()
            .unwrap_or_default();
        let programs = self
            .programs
            .iter()
            .map(|(section, name)| format!("{section:width$}  {name}"));
        list(f, "programs", programs)?;
        f.write_str("\n")?;
        list(f, "maps", self.maps.iter().cloned())
    }
}

/// A title beside its first item.
fn list(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    items: impl Iterator<Item = String>,
) -> fmt::Result {
    write!(f, "{title:10}")?;
    let items: Vec<_> = items.collect();
    f.write_str(if items.is_empty() { "none" } else { "" })?;
    f.write_str(&items.join(&format!("\n{:10}", "")))
}

#[cfg(test)]
mod tests {
    use object::{
        BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolScope,
        write::{Object, Symbol, SymbolSection},
    };

    use super::*;

    /// Section, symbol, and what they are.
    const SYMBOLS: [(&str, &str, SectionKind, SymbolKind); 6] = [
        (
            "sockops",
            "imds_sockops",
            SectionKind::Text,
            SymbolKind::Text,
        ),
        (
            "cgroup/connect4",
            "imds_connect4",
            SectionKind::Text,
            SymbolKind::Text,
        ),
        (".text", "memcpy", SectionKind::Text, SymbolKind::Text),
        (".maps", "IMDS_CONNS", SectionKind::Data, SymbolKind::Data),
        ("maps", "AYA_LOGS", SectionKind::Data, SymbolKind::Data),
        (
            ".rodata",
            "LEVEL",
            SectionKind::ReadOnlyData,
            SymbolKind::Data,
        ),
    ];

    fn object(architecture: Architecture) -> Vec<u8> {
        let mut object = Object::new(BinaryFormat::Elf, architecture, Endianness::Little);
        for (section, name, section_kind, kind) in SYMBOLS {
            let section = object.add_section(Vec::new(), section.into(), section_kind);
            object.append_section_data(section, &[0; 8], 8);
            object.add_symbol(Symbol {
                name: name.into(),
                value: 0,
                size: 8,
                kind,
                scope: SymbolScope::Dynamic,
                weak: false,
                section: SymbolSection::Section(section),
                flags: SymbolFlags::None,
            });
        }
        object.write().expect("the object can be written")
    }

    #[test]
    fn programs_and_maps_are_told_from_the_rest() {
        let contents = read(&object(Architecture::Bpf)).expect("it is a BPF object");
        let expected = "programs  cgroup/connect4  imds_connect4\n          sockops          imds_sockops\n\
                        maps      AYA_LOGS\n          IMDS_CONNS";
        assert_eq!(contents.to_string(), expected);
    }

    #[test]
    fn what_is_no_bpf_object_is_refused() {
        assert!(read(&object(Architecture::X86_64)).is_err());
        assert!(read(b"not an object").is_err());
        assert!(read(b"").is_err());
    }

    #[test]
    fn an_object_without_maps_says_so() {
        assert_eq!(
            Contents::default().to_string(),
            "programs  none\nmaps      none"
        );
    }
}
