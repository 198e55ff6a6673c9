//! Equations of Einstein summation.

use crate::error::{Error, ErrorKind, Result};
use crate::infer::extent::{broadcast, show};
use crate::types::Dim;

/// An index of an equation: a letter, or an axis of the ellipsis counted from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Label {
    /// An axis that `...` stands for.
    Ellipsis(usize),
    /// A letter.
    Letter(char),
}

/// An equation, its operands' extents known.
#[derive(Debug)]
pub(crate) struct Equation {
    /// Label of each axis of each operand.
    pub operands: Vec<Vec<Label>>,
    /// Label of each axis of the output.
    pub output: Vec<Label>,
    /// Every label once, with its extent; `None` where that depends on how symbols are bound.
    pub labels: Vec<(Label, Option<Dim>)>,
}

impl Equation {
    /// Reads an equation such as `bij,bjk->bik`, with `...` for any number of axes, for operands of the given extents.
    ///
    /// # Errors
    /// [`ErrorKind::Value`] for a bad equation, [`ErrorKind::Shape`] for operands that do not fit it.
    pub(crate) fn new(equation: &str, operands: &[&[Dim]]) -> Result<Self> {
        let bad = |expected: &str| Error::new(ErrorKind::Value, "equation", expected, equation);
        let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
        let (inputs, output) = match text.split_once("->") {
            Some((inputs, output)) => (inputs, Some(output)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = inputs.split(',').collect();
        if terms.len() != operands.len() {
            return Err(bad(&format!("{} operands", operands.len())));
        }
        let mut found = Vec::with_capacity(terms.len());
        let mut widest = 0;
        for (term, dims) in terms.iter().zip(operands) {
            let letters = term.replace("...", "").chars().count();
            let hidden = match (term.contains("..."), dims.len().checked_sub(letters)) {
                (true, Some(hidden)) => hidden,
                (false, Some(0)) => 0,
                _ => {
                    return Err(Error::new(
                        ErrorKind::Shape,
                        "equation",
                        format!("an operand of {letters} axes for {term}"),
                        show(dims),
                    ));
                }
            };
            widest = widest.max(hidden);
            found.push(labels(term, hidden).ok_or_else(|| bad("letters and one ellipsis a term"))?);
        }
        let mut extents: Vec<(Label, Option<Dim>)> = Vec::new();
        for (term, dims) in found.iter().zip(operands) {
            for (&label, &dim) in term.iter().zip(*dims) {
                match extents.iter_mut().find(|(l, _)| *l == label) {
                    None => extents.push((label, Some(dim))),
                    Some((_, old)) => {
                        if let Some(known) = *old {
                            *old = broadcast(&[known], &[dim])?.and_then(|d| d.first().copied());
                        }
                    }
                }
            }
        }
        let output = match output {
            Some(term) => labels(term, widest).ok_or_else(|| bad("letters and one ellipsis a term"))?,
            None => implicit(&found, widest),
        };
        for (place, label) in output.iter().enumerate() {
            if !extents.iter().any(|(l, _)| l == label) || output[..place].contains(label) {
                return Err(bad("each output letter once and in an operand"));
            }
        }
        Ok(Self {
            operands: found,
            output,
            labels: extents,
        })
    }

    /// Extents of the output; `None` where one depends on how symbols are bound.
    pub(crate) fn output_dims(&self) -> Option<Vec<Dim>> {
        self.output.iter().map(|&label| self.extent(label)).collect()
    }

    /// Extent of a label.
    pub(crate) fn extent(&self, label: Label) -> Option<Dim> {
        let (_, dim) = self.labels.iter().find(|(l, _)| *l == label)?;
        *dim
    }
}

/// Labels of a term whose ellipsis hides a number of axes.
fn labels(term: &str, hidden: usize) -> Option<Vec<Label>> {
    let letters = |text: &str| -> Option<Vec<Label>> {
        text.chars()
            .map(|c| c.is_ascii_alphabetic().then_some(Label::Letter(c)))
            .collect()
    };
    let Some((before, behind)) = term.split_once("...") else {
        return letters(term);
    };
    let mut found = letters(before)?;
    found.extend((0..hidden).rev().map(Label::Ellipsis));
    found.extend(letters(behind)?);
    Some(found)
}

/// The output of an equation without `->`: the ellipsis, then letters that appear once, in alphabetical order.
fn implicit(operands: &[Vec<Label>], widest: usize) -> Vec<Label> {
    let mut letters: Vec<Label> = operands
        .iter()
        .flatten()
        .copied()
        .filter(|l| matches!(l, Label::Letter(_)))
        .collect();
    letters.sort_unstable();
    let once: Vec<Label> = letters
        .iter()
        .copied()
        .filter(|l| letters.iter().filter(|m| *m == l).count() == 1)
        .collect();
    (0..widest).rev().map(Label::Ellipsis).chain(once).collect()
}
