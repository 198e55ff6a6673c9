//! Which instructions may be used.

/// An instruction set that kernels are written for; a higher one includes what the lower ones need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// Plain Rust, for every processor; the reference for the others.
    Scalar,
    /// AVX-512 F, BW, VL, VBMI and VNNI of x86-64.
    Avx512Vnni,
}

impl Tier {
    /// Name as reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx512Vnni => "avx512vnni",
        }
    }
}

/// A processor as the caller found it; kernels use nothing that it does not name.
///
/// Looking at the processor is the caller's: this crate asks no operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpu {
    tier: Tier,
}

impl Cpu {
    /// Any processor: plain Rust only.
    pub const fn scalar() -> Self {
        Self { tier: Tier::Scalar }
    }

    /// An x86-64 processor on which the operating system lets AVX-512 registers be used.
    ///
    /// # Safety
    /// The processor must have AVX-512 F, BW, VL, VBMI and VNNI, and FMA.
    pub const unsafe fn avx512vnni() -> Self {
        Self {
            tier: Tier::Avx512Vnni,
        }
    }

    /// The highest tier that may be used.
    pub const fn tier(self) -> Tier {
        self.tier
    }

    /// The same processor, nothing above a tier used.
    #[must_use]
    pub fn at_most(self, tier: Tier) -> Self {
        Self {
            tier: if tier < self.tier { tier } else { self.tier },
        }
    }
}

impl Cpu {
    /// Runs at least so many products of 8-bit integers in registers, for the rate that no kernel can exceed.
    ///
    /// Gives the number of products and a sum that depends on them; nothing for a tier that has no such instruction.
    pub fn products(self, at_least: u64) -> Option<(u64, i32)> {
        match self.tier {
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512Vnni => {
                use crate::kernels::avx512vnni::peak;
                let rounds = at_least.div_ceil(peak::ROUND);
                Some((rounds.saturating_mul(peak::ROUND), peak::products(rounds)))
            }
            _ => {
                let _ = at_least;
                None
            }
        }
    }
}

impl Tier {
    /// All tiers, the lowest first.
    pub const ALL: [Self; 2] = [Self::Scalar, Self::Avx512Vnni];

    /// The tier of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }
}

#[cfg(any(test, feature = "detect"))]
impl Cpu {
    /// The processor that this runs on.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512vl")
            && std::is_x86_feature_detected!("avx512vbmi")
            && std::is_x86_feature_detected!("avx512vnni")
            && std::is_x86_feature_detected!("fma")
        {
            // SAFETY: each of the instruction sets was found, and with it the operating system's leave.
            return unsafe { Self::avx512vnni() };
        }
        Self::scalar()
    }
}
