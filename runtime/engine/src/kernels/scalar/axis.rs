//! Operations along one axis.

use super::typed::{Element, element, integer, store};
use crate::kernels::{floats, floats_mut, for_each_run, integers};
use crate::plan::Dtype;
use crate::step::{Cumulate, Extreme, Interpolate, Lookup};

/// Elements of the input from the first place to the one that an element's indices give; `None` outside.
fn place(step: &Lookup, indices: &[u8], at: usize) -> Option<usize> {
    let size = step.index.size();
    let mut found = 0;
    for term in 0..step.count as usize {
        let from = (at + term * step.next_index as usize) * size;
        let index = integer(step.index, &indices[from..from + size]);
        let length = i64::from(step.length[term]);
        let index = if index < 0 {
            index.saturating_add(length)
        } else {
            index
        };
        if !(0..length).contains(&index) {
            return None;
        }
        found += index as usize * step.index_step[term] as usize;
    }
    Some(found)
}

pub(super) fn lookup(step: &Lookup, input: &[u8], indices: &[u8], output: &mut [u8]) {
    let size = step.size as usize;
    let operands = [&step.input, &step.indices, &step.output];
    let [from_step, index_step, to_step] = operands.map(|o| o.strides[5] as usize);
    let count = step.dims[5] as usize;
    for_each_run(&step.dims, operands, |[from, index, to]| {
        if index_step == 0 && from_step == 1 && to_step == 1 {
            let out = &mut output[to * size..][..count * size];
            match place(step, indices, index) {
                Some(place) => out.copy_from_slice(&input[(from + place) * size..][..count * size]),
                None => out.fill(0),
            }
            return;
        }
        for n in 0..count {
            let out = &mut output[(to + n * to_step) * size..][..size];
            match place(step, indices, index + n * index_step) {
                Some(place) => {
                    let from = from + n * from_step + place;
                    out.copy_from_slice(&input[from * size..][..size]);
                }
                None => out.fill(0),
            }
        }
    });
}

/// Whether a new element takes the place of the best so far.
fn replaces<T: PartialOrd + Copy>(step: &Extreme, old: T, new: T) -> bool {
    let is_nan = |x: T| x.partial_cmp(&x).is_none();
    let better = if step.greatest != 0 { new > old } else { new < old };
    better || (is_nan(new) && !is_nan(old)) || (step.last != 0 && new == old)
}

pub(super) fn extreme(step: &Extreme, input: &[u8], output: &mut [u8]) {
    let size = step.dtype.size();
    let [from_step, to_step] = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            let at = |place: u32| {
                let from = from + n * from_step + place as usize * step.input_step as usize;
                element(step.dtype, &input[from * size..][..size])
            };
            let mut best = 0;
            let mut value = at(0);
            for place in 1..step.length {
                let new = at(place);
                let better = match (value, new) {
                    (Element::Real(old), Element::Real(new)) => replaces(step, old, new),
                    (Element::Integer(old), Element::Integer(new)) => replaces(step, old, new),
                    _ => false,
                };
                if better {
                    (best, value) = (place, new);
                }
            }
            store(best.into(), &mut output[(to + n * to_step) * 8..][..8]);
        }
    });
}

pub(super) fn cumulate(step: &Cumulate, input: &[u8], output: &mut [u8]) {
    let size = step.dtype.size();
    let [from_next, to_next] = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    let first = if step.product != 0 { 1 } else { 0 };
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            let mut total = (f64::from(first), i64::from(first));
            for place in 0..step.length {
                let place = if step.reverse != 0 {
                    step.length - 1 - place
                } else {
                    place
                } as usize;
                let from = from + n * from_next + place * step.input_step as usize;
                let next = match element(step.dtype, &input[from * size..][..size]) {
                    Element::Real(x) if step.product != 0 => (total.0 * f64::from(x), total.1),
                    Element::Real(x) => (total.0 + f64::from(x), total.1),
                    Element::Integer(x) if step.product != 0 => (total.0, total.1.wrapping_mul(x)),
                    Element::Integer(x) => (total.0, total.1.wrapping_add(x)),
                };
                let found = if step.exclusive != 0 { total } else { next };
                let bits = match step.dtype {
                    Dtype::F32 => (found.0 as f32).to_bits().into(),
                    Dtype::Bool => (found.1 != 0).into(),
                    _ => found.1,
                };
                let to = to + n * to_next + place * step.output_step as usize;
                store(bits, &mut output[to * size..][..size]);
                total = next;
            }
        }
    });
}

pub(super) fn interpolate(step: &Interpolate, input: &[u8], tables: [&[u8]; 2], output: &mut [u8]) {
    let (input, output) = (floats(input), floats_mut(output));
    let (places, weights) = (integers(tables[0]), floats(tables[1]));
    let [from_next, to_next] = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    let taps = step.taps as usize;
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for place in 0..step.output_length as usize {
            let (places, weights) = (&places[place * taps..][..taps], &weights[place * taps..][..taps]);
            for n in 0..step.dims[5] as usize {
                let from = from + n * from_next;
                let sum: f64 = places
                    .iter()
                    .zip(weights)
                    .map(|(&at, &w)| {
                        f64::from(w) * f64::from(input[from + at as usize * step.input_step as usize])
                    })
                    .sum();
                output[to + n * to_next + place * step.output_step as usize] = sum as f32;
            }
        }
    });
}
