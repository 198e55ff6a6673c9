//! What computes a graph inside ONNX Runtime.

use limbic_bundle::{Role, Signature};
use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};

use crate::error::{Error, ErrorKind, Result};
use crate::ort::cache;
use crate::ort::library::Runtime;
use crate::ort::model::Model;

/// A provider by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    Cpu,
    Cuda,
    Tensorrt,
}

impl Provider {
    const ALL: [Self; 3] = [Self::Cpu, Self::Cuda, Self::Tensorrt];

    /// Name as a backend's name has it behind the `@`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Tensorrt => "tensorrt",
        }
    }

    /// Providers in the order they are tried: `cuda`, or `cuda+cpu` where the second may stand in for the first.
    pub(super) fn parse(names: &str) -> Result<Vec<Self>> {
        let one = |name: &str| {
            let known = Self::ALL.into_iter().find(|provider| provider.name() == name);
            known.ok_or_else(|| {
                Error::new(
                    ErrorKind::UnknownBackend,
                    "ort",
                    "cpu, cuda or tensorrt, joined by + where the next may stand in for one that does not start",
                    format!("{name:?}"),
                )
            })
        };
        names.split('+').map(one).collect()
    }

    /// Whether the library was built with it; whether it starts on this machine shows when a graph is loaded.
    pub(super) fn is_built_in(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Cuda => ep::CUDA::is_available().unwrap_or(false),
            Self::Tensorrt => ep::TensorRT::is_available().unwrap_or(false),
        }
    }

    /// The providers that a library was built with, for messages.
    pub(super) fn built_in() -> String {
        let all = Self::ALL.into_iter().filter(|provider| provider.is_built_in());
        all.map(Self::name).collect::<Vec<_>>().join(", ")
    }

    /// The provider with its settings for a graph, required to start; the processor is there in any case.
    ///
    /// What TensorRT does not take is CUDA's.
    pub(super) fn settings(
        self,
        runtime: &Runtime,
        content: &[u8],
        model: &Model,
        signatures: &[Signature],
    ) -> Vec<ExecutionProviderDispatch> {
        match self {
            Self::Cpu => Vec::new(),
            Self::Cuda => vec![ep::CUDA::default().build().error_on_failure()],
            Self::Tensorrt => {
                let mut settings = ep::TensorRT::default()
                    .with_int8(model.is_quantized)
                    .with_fp16(model.computes_in_f16);
                if let Some(folder) = cache::folder(runtime, self, content) {
                    let folder = folder.display().to_string();
                    settings = settings
                        .with_engine_cache(true)
                        .with_engine_cache_path(&folder)
                        .with_timing_cache(true)
                        .with_timing_cache_path(&folder);
                }
                if let Some([least, most]) = extents(signatures) {
                    settings = settings
                        .with_profile_min_shapes(least)
                        .with_profile_max_shapes(&most)
                        .with_profile_opt_shapes(most);
                }
                vec![
                    settings.build().error_on_failure(),
                    ep::CUDA::default().build().error_on_failure(),
                ]
            }
        }
    }
}

/// Smallest and largest shapes of the inputs whose size differs between signatures, as TensorRT writes them; nothing
/// where all are equal, or one is free.
///
/// Without them it builds anew whenever a longer input comes.
fn extents(signatures: &[Signature]) -> Option<[String; 2]> {
    let first = signatures.first()?;
    let mut bounds: [Vec<String>; 2] = Default::default();
    for spec in first.tensors.iter().filter(|spec| spec.role != Role::Output) {
        let mut least = spec.fixed_dims()?;
        let mut most = least.clone();
        for signature in signatures {
            let same = signature.tensors.iter().find(|other| other.name == spec.name)?;
            let dims = same.fixed_dims().filter(|dims| dims.len() == least.len())?;
            for ((least, most), size) in least.iter_mut().zip(&mut most).zip(dims) {
                *least = size.min(*least);
                *most = size.max(*most);
            }
        }
        if least != most {
            for (list, dims) in bounds.iter_mut().zip([least, most]) {
                let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
                list.push(format!("{}:{}", spec.name, dims.join("x")));
            }
        }
    }
    let [least, most] = bounds;
    (!least.is_empty()).then(|| [least.join(","), most.join(",")])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeMap;

    use limbic_bundle::{Dim, Dtype, SignatureSpec, Symbol, TensorSpec};

    use super::*;

    #[test]
    fn providers_are_named_and_joined() {
        assert_eq!(Provider::parse("cpu").unwrap(), [Provider::Cpu]);
        assert_eq!(
            Provider::parse("tensorrt+cuda+cpu").unwrap(),
            [Provider::Tensorrt, Provider::Cuda, Provider::Cpu]
        );
        for wrong in ["", "gpu", "cuda+", "cuda,cpu"] {
            let error = Provider::parse(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnknownBackend, "{wrong:?}");
        }
    }

    #[test]
    fn extents_are_those_of_the_buckets() {
        let length = Dim::Symbol(Symbol {
            symbol: "L".into(),
            min: 2,
            max: 64,
        });
        let tensor = |name: &str, dims: Vec<Dim>| TensorSpec {
            name: name.into(),
            role: Role::Input,
            dtype: Dtype::I64,
            dims,
            layout: None,
            quantization: None,
            next: None,
        };
        let spec = |buckets: &[usize]| SignatureSpec {
            name: "encode".into(),
            tensors: vec![
                tensor("ids", vec![Dim::Fixed(1), length.clone()]),
                tensor("task", vec![Dim::Fixed(3)]),
            ],
            buckets: buckets
                .iter()
                .map(|size| BTreeMap::from([("L".to_owned(), *size)]))
                .collect(),
        };
        let [least, most] = extents(&spec(&[16, 64, 32]).concrete()).unwrap();
        assert_eq!((least.as_str(), most.as_str()), ("ids:1x16", "ids:1x64"));
        assert_eq!(extents(&spec(&[16]).concrete()), None, "one size needs no range");
        assert_eq!(extents(&spec(&[]).concrete()), None, "a free size has no range");
    }
}
