//! Choice of branches.

use crate::error::{Error, ErrorKind, Result};
use crate::interpret::{Call, run as run_graph};
use crate::op::Op;
use crate::tensor::Tensor;

/// The outputs, those at the end that are not wanted left out.
pub(super) fn run(call: Call<'_>) -> Result<Vec<Tensor>> {
    let Op::If { then, otherwise } = call.op else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "",
            "a choice of branches",
            format!("{:?}", call.op),
        ));
    };
    let &[truth] = call.input(0)?.elements::<bool>()? else {
        return Err(Error::new(
            ErrorKind::Shape,
            "condition",
            "one element",
            call.input(0)?.len(),
        ));
    };
    let captures = (1..call.inputs.len())
        .map(|n| call.input(n).cloned())
        .collect::<Result<Vec<_>>>()?;
    let branch = if truth { then } else { otherwise };
    run_graph(branch, &captures).map_err(|e| e.within(format!("branch {}", branch.name)))
}
