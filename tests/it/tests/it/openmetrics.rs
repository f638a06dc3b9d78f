//! The text format of OpenMetrics 1.0, read as strictly as it is specified, as far as the agent uses it.

use std::collections::{BTreeMap, BTreeSet};

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) samples: Vec<Sample>,
}

/// A line with a number.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// A number, as it is written.
    value: String,
}

/// The lines about one metric.
struct Family<'a> {
    name: &'a str,
    kind: &'a str,
    unit: &'a str,
    samples: usize,
}

impl Page {
    /// Reads `text`; says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let body = text.strip_suffix("# EOF\n").ok_or("no # EOF at the end")?;
        let (mut samples, mut names) = (Vec::new(), BTreeSet::new());
        let mut family: Option<Family<'_>> = None;
        for line in body.lines() {
            let wrong = |what: &str| format!("{what}: {line}");
            let Some(comment) = line.strip_prefix("# ") else {
                let family = family.as_mut().ok_or_else(|| wrong("no family"))?;
                samples.push(family.sample(line).map_err(|what| wrong(&what))?);
                continue;
            };
            let mut words = comment.splitn(3, ' ');
            let (Some(what), Some(name), Some(value)) = (words.next(), words.next(), words.next())
            else {
                return Err(wrong("half a comment"));
            };
            let current = match family.take().filter(|family| family.name == name) {
                Some(current) if current.samples == 0 => current,
                Some(_) => return Err(wrong("a comment behind its samples")),
                None if names.insert(name) => Family::new(name),
                None => return Err(wrong("a family in two places")),
            };
            family = Some(current.with(what, value).map_err(|what| wrong(&what))?);
        }
        Ok(Self { samples })
    }

    /// The sum of the samples with this name and at least these labels; 0 if there are none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let has = |sample: &&Sample| {
            let of = |label: &str| sample.labels.get(label).map(String::as_str);
            let mut labels = labels.iter();
            sample.name == name && labels.all(|(label, value)| of(label) == Some(value))
        };
        let samples = self.samples.iter().filter(has);
        samples
            .map(|sample| sample.value.parse::<u64>().unwrap())
            .sum()
    }

    /// The one sample with this name.
    pub(crate) fn only(&self, name: &str) -> f64 {
        let samples = self.samples.iter().filter(|sample| sample.name == name);
        let [sample] = samples.collect::<Vec<_>>()[..] else {
            panic!("not one {name}");
        };
        sample.value.parse().unwrap()
    }
}

impl<'a> Family<'a> {
    const fn new(name: &'a str) -> Self {
        Self {
            name,
            kind: "",
            unit: "",
            samples: 0,
        }
    }

    fn with(mut self, what: &str, value: &'a str) -> Result<Self, String> {
        match what {
            "TYPE" if self.kind.is_empty() => self.kind = value,
            "UNIT" if self.unit.is_empty() => self.unit = value,
            "HELP" => {}
            _ => return Err("a comment that is none, or twice".to_owned()),
        }
        let unit = self.unit;
        if unit.is_empty() || self.name.ends_with(&format!("_{unit}")) {
            Ok(self)
        } else {
            Err("a name without its unit".to_owned())
        }
    }

    fn sample(&mut self, line: &str) -> Result<Sample, String> {
        self.samples += 1;
        let (series, value) = line.rsplit_once(' ').ok_or("no value")?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, read_labels(labels)?),
            None => (series, BTreeMap::new()),
        };
        let suffix = name
            .strip_prefix(self.name)
            .ok_or("another family's sample")?;
        let suffixes: &[&str] = match self.kind {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_count", "_sum"],
            "info" => &["_info"],
            kind => return Err(format!("unknown type {kind:?}")),
        };
        if !suffixes.contains(&suffix) {
            return Err(format!("no name for a {}", self.kind));
        }
        value.parse::<f64>().map_err(|_no_number| "no number")?;
        Ok(Sample {
            name: name.to_owned(),
            labels,
            value: value.to_owned(),
        })
    }
}

/// Reads `a="b",c="d"}`. Values have no escapes here: none of ours needs any.
fn read_labels(text: &str) -> Result<BTreeMap<String, String>, String> {
    let text = text.strip_suffix('}').ok_or("no end of the labels")?;
    let mut labels = BTreeMap::new();
    for label in text.split(',') {
        let (name, value) = label.split_once('=').ok_or("a label without a value")?;
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        let value = value.filter(|value| !value.contains(['"', '\\']));
        let value = value.ok_or("a label without its quotes")?;
        if labels.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err("a label twice".to_owned());
        }
    }
    Ok(labels)
}

const PAGE: &str = "# HELP a_requests What came.\n\
    # TYPE a_requests counter\n\
    a_requests_total{route=\"x\",status=\"200\"} 3\n\
    a_requests_total{route=\"y\",status=\"200\"} 4\n\
    # TYPE a_age_seconds gauge\n\
    # UNIT a_age_seconds seconds\n\
    a_age_seconds -1.5\n\
    # EOF\n";

#[test]
fn a_page_is_read() {
    let page = Page::parse(PAGE).unwrap();
    for (labels, sum) in [
        (&[("route", "x")][..], 3),
        (&[("status", "200")], 7),
        (&[("status", "200"), ("route", "y")], 4),
        (&[("status", "404")], 0),
        (&[], 7),
    ] {
        assert_eq!(page.sum("a_requests_total", labels), sum, "{labels:?}");
    }
    assert!((page.only("a_age_seconds") + 1.5).abs() < f64::EPSILON);
}

#[test]
fn a_page_with_mistakes_is_refused() {
    for (right, wrong) in [
        ("# EOF\n", ""),
        ("# EOF\n", "# EOF\n\n"),
        ("# TYPE a_requests counter\n", ""),
        ("counter", "number"),
        ("a_requests_total{route=\"x\"", "a_requests{route=\"x\""),
        ("} 3", "} three"),
        ("} 3", " 3"),
        ("\"x\"", "x"),
        ("status=", "route="),
        ("# UNIT a_age_seconds seconds", "# UNIT a_age_seconds bytes"),
        (
            "# UNIT a_age_seconds seconds",
            "# NOTE a_age_seconds seconds",
        ),
        (
            "a_age_seconds -1.5",
            "a_age_seconds -1.5\n# HELP a_age_seconds Late.",
        ),
        ("# EOF", "# TYPE a_requests counter\n# EOF"),
        ("# EOF", "a_requests_total 5\n# EOF"),
    ] {
        let page = PAGE.replacen(right, wrong, 1);
        assert!(Page::parse(&page).is_err(), "{page}");
    }
}
