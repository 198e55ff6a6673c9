//! Which instructions may be used.

use core::cmp::Ordering;

/// An instruction set that kernels are written for.
///
/// Tiers of one architecture are ordered by what they can do in a time; tiers of two architectures are not comparable,
/// and each is above [`Tier::Scalar`]. A processor may lack one below its highest: [`Cpu::tiers`] has those it can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// Plain Rust, for every processor; the reference for the others.
    Scalar,
    /// AVX2 and FMA of x86-64.
    Avx2,
    /// AVX2, FMA and AVX-VNNI of x86-64, which not every processor with AVX-512 VNNI has.
    AvxVnni,
    /// AVX-512 F, BW, VL, VBMI and VNNI of x86-64.
    Avx512Vnni,
    /// Advanced SIMD of ARMv8-A, which every 64-bit Arm processor has.
    Neon,
    /// Products of four 8-bit integers: `sdot`, from ARMv8.2-A on.
    Dotprod,
    /// Products of 8-bit matrices, signed with unsigned: `usmmla`, from ARMv8.6-A on.
    I8mm,
}

impl PartialOrd for Tier {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let [(family, level), (other_family, other_level)] = [self, other].map(|tier| tier.place());
        // The lowest tier belongs to every architecture.
        (family == other_family || level == 0 || other_level == 0).then(|| level.cmp(&other_level))
    }
}

impl Tier {
    /// All tiers, those of an architecture with the lowest first.
    pub const ALL: [Self; 7] = [
        Self::Scalar,
        Self::Avx2,
        Self::AvxVnni,
        Self::Avx512Vnni,
        Self::Neon,
        Self::Dotprod,
        Self::I8mm,
    ];

    /// Architecture, and how many tiers of it lie below.
    fn place(self) -> (u8, u8) {
        match self {
            Self::Scalar => (0, 0),
            Self::Avx2 => (1, 1),
            Self::AvxVnni => (1, 2),
            Self::Avx512Vnni => (1, 3),
            Self::Neon => (2, 1),
            Self::Dotprod => (2, 2),
            Self::I8mm => (2, 3),
        }
    }

    /// A bit of its own.
    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Name as reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avxvnni",
            Self::Avx512Vnni => "avx512vnni",
            Self::Neon => "neon",
            Self::Dotprod => "dotprod",
            Self::I8mm => "i8mm",
        }
    }

    /// The tier of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }
}

/// A processor as the caller found it; kernels use nothing that it does not name.
///
/// Looking at the processor is the caller's: this crate asks no operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpu {
    /// The highest tier that may be used.
    tier: Tier,
    /// A bit for each of [`Tier::ALL`] that the processor can run.
    own: u8,
}

impl Cpu {
    /// Any processor: plain Rust only.
    pub const fn scalar() -> Self {
        Self {
            tier: Tier::Scalar,
            own: Tier::Scalar.bit(),
        }
    }

    /// The same processor, which can run a higher tier as well.
    const fn and(self, tier: Tier) -> Self {
        Self {
            tier,
            own: self.own | tier.bit(),
        }
    }

    /// An x86-64 processor on which the operating system lets AVX registers be used.
    ///
    /// # Safety
    /// The processor must have AVX2 and FMA.
    pub const unsafe fn avx2() -> Self {
        Self::scalar().and(Tier::Avx2)
    }

    /// An x86-64 processor with products of four 8-bit integers in AVX registers.
    ///
    /// # Safety
    /// The processor must have AVX2, FMA and AVX-VNNI, the encoding without AVX-512.
    pub const unsafe fn avxvnni() -> Self {
        Self::scalar().and(Tier::Avx2).and(Tier::AvxVnni)
    }

    /// The same x86-64 processor, on which the operating system lets AVX-512 registers be used.
    ///
    /// # Safety
    /// The processor must have AVX-512 F, BW, VL, VBMI and VNNI, AVX2 and FMA.
    #[must_use]
    pub const unsafe fn and_avx512vnni(self) -> Self {
        self.and(Tier::Avx2).and(Tier::Avx512Vnni)
    }

    /// A 64-bit Arm processor on which the operating system lets vector registers be used.
    ///
    /// # Safety
    /// The processor must have Advanced SIMD.
    pub const unsafe fn neon() -> Self {
        Self::scalar().and(Tier::Neon)
    }

    /// A 64-bit Arm processor with products of four 8-bit integers.
    ///
    /// # Safety
    /// The processor must have Advanced SIMD and `FEAT_DotProd`.
    pub const unsafe fn dotprod() -> Self {
        Self::scalar().and(Tier::Neon).and(Tier::Dotprod)
    }

    /// A 64-bit Arm processor with products of 8-bit matrices.
    ///
    /// # Safety
    /// The processor must have Advanced SIMD, `FEAT_DotProd` and `FEAT_I8MM`.
    pub const unsafe fn i8mm() -> Self {
        Self::scalar().and(Tier::Neon).and(Tier::Dotprod).and(Tier::I8mm)
    }

    /// The highest tier that may be used.
    pub const fn tier(self) -> Tier {
        self.tier
    }

    /// The same processor, nothing above a tier used, so the highest of its own below one that it lacks; a tier of
    /// another architecture changes nothing.
    #[must_use]
    pub fn at_most(self, tier: Tier) -> Self {
        let mut tiers = self.tiers().map(Self::tier);
        match tier.partial_cmp(&self.tier) {
            Some(Ordering::Less) => Self {
                tier: tiers.find(|own| *own <= tier).unwrap_or(Tier::Scalar),
                ..self
            },
            _ => self,
        }
    }

    /// This processor on each of the tiers that it can run and may use, the highest first.
    pub fn tiers(self) -> impl Iterator<Item = Self> {
        let is_own = move |tier: &Tier| *tier <= self.tier && self.own & tier.bit() != 0;
        let tiers = Tier::ALL.into_iter().rev().filter(is_own);
        tiers.map(move |tier| Self { tier, ..self })
    }

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
            #[cfg(target_arch = "x86_64")]
            tier @ (Tier::Avx2 | Tier::AvxVnni) => {
                use crate::kernels::avx2::peak;
                let rounds = at_least.div_ceil(peak::ROUND);
                Some((rounds.saturating_mul(peak::ROUND), peak::products(tier, rounds)))
            }
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            tier @ (Tier::Neon | Tier::Dotprod | Tier::I8mm) => {
                use crate::kernels::aarch64::peak;
                let rounds = at_least.div_ceil(peak::ROUND);
                Some((rounds.saturating_mul(peak::ROUND), peak::products(tier, rounds)))
            }
            _ => {
                let _ = at_least;
                None
            }
        }
    }
}

#[cfg(any(test, feature = "detect"))]
impl Cpu {
    /// The processor that this runs on.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        use std::is_x86_feature_detected;
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: each of the instruction sets was found, and with it the operating system's leave.
            unsafe {
                let cpu = if is_x86_feature_detected!("avxvnni") {
                    Self::avxvnni()
                } else {
                    Self::avx2()
                };
                let is_wide = is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vbmi")
                    && is_x86_feature_detected!("avx512vnni");
                return if is_wide { cpu.and_avx512vnni() } else { cpu };
            }
        }
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        {
            use std::arch::is_aarch64_feature_detected as has;
            // SAFETY: each of the instruction sets was found; the first is part of what the program was built for.
            return unsafe {
                match (has!("dotprod"), has!("i8mm")) {
                    (true, true) => Self::i8mm(),
                    (true, false) => Self::dotprod(),
                    (false, _) => Self::neon(),
                }
            };
        }
        #[allow(unreachable_code, reason = "every 64-bit Arm processor has more")]
        Self::scalar()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_of_one_architecture_are_ordered_and_others_are_not_comparable() {
        for tiers in [
            &[Tier::Scalar, Tier::Avx2, Tier::AvxVnni, Tier::Avx512Vnni][..],
            &[Tier::Scalar, Tier::Neon, Tier::Dotprod, Tier::I8mm],
        ] {
            assert!(tiers.is_sorted_by(|a, b| a < b));
        }
        for tier in [Tier::Neon, Tier::Dotprod, Tier::I8mm] {
            for other in [Tier::Avx2, Tier::AvxVnni, Tier::Avx512Vnni] {
                assert_eq!(tier.partial_cmp(&other), None);
            }
        }
    }

    #[test]
    fn a_processor_is_limited_to_tiers_of_its_own() {
        // SAFETY: nothing is run.
        let cpu = unsafe { Cpu::i8mm() };
        assert_eq!(cpu.at_most(Tier::Dotprod).tier(), Tier::Dotprod);
        assert_eq!(cpu.at_most(Tier::Scalar).tier(), Tier::Scalar);
        assert_eq!(cpu.at_most(Tier::Avx512Vnni).tier(), Tier::I8mm);
        let tiers: std::vec::Vec<Tier> = cpu.tiers().map(Cpu::tier).collect();
        assert_eq!(tiers, [Tier::I8mm, Tier::Dotprod, Tier::Neon, Tier::Scalar]);
    }

    #[test]
    fn a_processor_runs_no_tier_that_it_lacks_below_its_highest() {
        // SAFETY: nothing is run.
        let (without, with) = unsafe { (Cpu::avx2().and_avx512vnni(), Cpu::avxvnni().and_avx512vnni()) };
        let tiers = |cpu: Cpu| cpu.tiers().map(Cpu::tier).collect::<std::vec::Vec<Tier>>();
        assert_eq!(tiers(without), [Tier::Avx512Vnni, Tier::Avx2, Tier::Scalar]);
        assert_eq!(without.at_most(Tier::AvxVnni).tier(), Tier::Avx2);
        assert_eq!(without.at_most(Tier::Neon).tier(), Tier::Avx512Vnni);
        assert_eq!(
            tiers(with),
            [Tier::Avx512Vnni, Tier::AvxVnni, Tier::Avx2, Tier::Scalar]
        );
        assert_eq!(with.at_most(Tier::AvxVnni).tier(), Tier::AvxVnni);
        assert_eq!(tiers(with.at_most(Tier::AvxVnni)).len(), 3);
    }
}
