//! What kernels ask of registers.

/// Work on registers, always inlined where it is entered.
pub(crate) trait Work {
    /// What it gives.
    type Output;

    /// Does it.
    fn run(self) -> Self::Output;
}

/// Groups of registers that hold 16 elements.
///
/// A value says that the processor has the instructions. All functions are inlined always: they become instructions
/// where [`Lanes::enter`] made them allowed.
pub(crate) trait Lanes: Copy {
    /// 16 `u8`.
    type Bytes: Copy;
    /// 16 `i32`.
    type Integers: Copy;
    /// 16 `f32`.
    type Reals: Copy;
    /// 16 `f64`.
    type Doubles: Copy;
    /// Zero point and limits of bytes.
    type Limits: Copy;

    /// Does work in a function of its own that may use the instructions.
    fn enter<W: Work>(self, work: W) -> W::Output;

    /// The first `count` bytes of 16, else 0.
    ///
    /// # Safety
    /// As many bytes may be read.
    unsafe fn load_bytes(self, from: *const u8, count: usize) -> Self::Bytes;
    /// Stores the first `count` of 16 bytes.
    ///
    /// # Safety
    /// As many bytes may be written.
    unsafe fn store_bytes(self, to: *mut u8, bytes: Self::Bytes, count: usize);
    /// Stores the last eight of 16 bytes in their places.
    ///
    /// # Safety
    /// They may be written.
    unsafe fn store_last_bytes(self, to: *mut u8, bytes: Self::Bytes);
    /// The first `count` of 16 `f32`, else 0.
    ///
    /// # Safety
    /// As many elements may be read.
    unsafe fn load(self, from: *const f32, count: usize) -> Self::Reals;
    /// Stores the first `count` of 16 `f32`.
    ///
    /// # Safety
    /// As many elements may be written.
    unsafe fn store(self, to: *mut f32, x: Self::Reals, count: usize);
    /// Stores the last eight of 16 `f32` in their places.
    ///
    /// # Safety
    /// They may be written.
    unsafe fn store_last(self, to: *mut f32, x: Self::Reals);

    /// A byte in all places.
    fn byte(self, x: u8) -> Self::Bytes;
    /// The greater of bytes.
    fn max_bytes(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Bytes as integers.
    fn widened(self, x: Self::Bytes) -> Self::Integers;

    /// An integer in all places.
    fn integer(self, x: i32) -> Self::Integers;
    /// `a - b`.
    fn sub_integers(self, a: Self::Integers, b: Self::Integers) -> Self::Integers;
    /// Integers as real numbers, rounded.
    fn to_reals(self, x: Self::Integers) -> Self::Reals;
    /// Bits of real numbers.
    fn bits(self, x: Self::Reals) -> Self::Integers;
    /// Real numbers of bits.
    fn of_bits(self, x: Self::Integers) -> Self::Reals;

    /// A number in all places.
    fn real(self, x: f32) -> Self::Reals;
    /// `a + b`.
    fn add(self, a: Self::Reals, b: Self::Reals) -> Self::Reals;
    /// `a - b`.
    fn sub(self, a: Self::Reals, b: Self::Reals) -> Self::Reals;
    /// `a * b`.
    fn mul(self, a: Self::Reals, b: Self::Reals) -> Self::Reals;
    /// `a / b`.
    fn div(self, a: Self::Reals, b: Self::Reals) -> Self::Reals;
    /// `a * b + c`, rounded once.
    fn mul_add(self, a: Self::Reals, b: Self::Reals, c: Self::Reals) -> Self::Reals;
    /// `c - a * b`, rounded once.
    fn neg_mul_add(self, a: Self::Reals, b: Self::Reals, c: Self::Reals) -> Self::Reals;
    /// The greater one; `b`, which is a number, where `a` is none.
    fn max(self, a: Self::Reals, b: Self::Reals) -> Self::Reals;
    /// The smaller one; `b`, which is a number, where `a` is none.
    fn min(self, a: Self::Reals, b: Self::Reals) -> Self::Reals;
    /// Limited; what is no number stays so.
    fn within(self, x: Self::Reals, low: Self::Reals, high: Self::Reals) -> Self::Reals;
    /// 0 where it is no number.
    fn or_zero(self, x: Self::Reals) -> Self::Reals;
    /// To the nearest integer, ties to even.
    fn round(self, x: Self::Reals) -> Self::Reals;
    /// Magnitudes.
    fn abs(self, x: Self::Reals) -> Self::Reals;
    /// `x` where `a` is less than `b`, else `y`.
    fn where_less(self, a: Self::Reals, b: Self::Reals, x: Self::Reals, y: Self::Reals) -> Self::Reals;
    /// `x * 2^n`, of integers `n` from -150 to 129.
    fn times_power(self, x: Self::Reals, n: Self::Reals) -> Self::Reals;
    /// Whether all are numbers of at most a bound.
    fn all_at_most(self, x: Self::Reals, bound: f32) -> bool;
    /// The greatest number.
    fn greatest(self, x: Self::Reals) -> f32;
    /// The sum.
    fn sum(self, x: Self::Reals) -> f32;
    /// The sum, of `f64`.
    fn wide_sum(self, x: Self::Reals) -> f64;

    /// 0 in all places.
    fn zeros(self) -> Self::Doubles;
    /// The sum with `f32`.
    fn add_wide(self, sums: Self::Doubles, x: Self::Reals) -> Self::Doubles;
    /// Over a number, as `f32`.
    fn over(self, sums: Self::Doubles, count: f64) -> Self::Reals;

    /// Of bytes.
    fn limits(self, zero: u8, low: u8, high: u8) -> Self::Limits;
    /// Numbers to the nearest integers, ties to even, plus the zero point, limited; what is no number becomes any byte
    /// inside the limits.
    fn to_bytes(self, x: Self::Reals, limits: Self::Limits) -> Self::Bytes;
}
