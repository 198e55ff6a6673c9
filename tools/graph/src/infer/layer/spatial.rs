//! Extents of convolutions and pools.

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::Known;
use crate::infer::extent::{dtype, typed};
use crate::op::{Convolution, Pool};
use crate::spatial;
use crate::tensor::element_count;
use crate::types::{Dim, TensorType};

/// Dims of an `[N,C,...]` input with at least one spatial axis; `None` while they are unknown.
pub(super) fn spatial_dims(ty: &TensorType) -> Result<Option<&[Dim]>> {
    match ty.dims.as_deref() {
        Some(dims) if dims.len() < 3 => Err(Error::new(ErrorKind::Shape, "", "X [N,C,...]", ty)),
        dims => Ok(dims),
    }
}

/// Applies a function of one axis' extent to each spatial dim; a symbol stays where the extent is kept.
fn each_axis(
    spatial: &[Dim],
    keeps_extent: impl Fn(usize) -> Result<bool>,
    extents: impl Fn(&[usize]) -> Result<Vec<usize>>,
) -> Result<Option<Vec<Dim>>> {
    if let Some(known) = spatial.iter().map(|d| d.known()).collect::<Option<Vec<_>>>() {
        return Ok(Some(extents(&known)?.into_iter().map(Dim::Known).collect()));
    }
    // Where some extents are symbols the known ones are found one at a time.
    let mut dims = Vec::with_capacity(spatial.len());
    for (axis, dim) in spatial.iter().enumerate() {
        match dim {
            Dim::Symbol(_) if keeps_extent(axis)? => dims.push(*dim),
            Dim::Symbol(_) => return Ok(None),
            Dim::Known(n) => dims.push(Dim::Known(extents(&vec![*n; spatial.len()])?[axis])),
        }
    }
    Ok(Some(dims))
}

/// `(X, W, ...)` of [`crate::Op::Conv`] and its integer forms; `w` is the place of the kernel.
pub(super) fn convolution(c: &Convolution, inputs: Known<'_>, w: usize, made: Dtype) -> Result<TensorType> {
    let x = inputs.ty(0)?;
    let w = inputs.ty(w)?;
    let (Some(x_dims), Some(w_shape)) = (spatial_dims(x)?, w.shape()) else {
        return Ok(TensorType::unshaped(made));
    };
    let channels = w_shape.get(1).and_then(|n| n.checked_mul(c.groups));
    let fits = w_shape.len() == x_dims.len() && x_dims[1].known().is_none_or(|n| Some(n) == channels);
    if !fits || c.groups == 0 || w_shape[0] % c.groups != 0 {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            format!("X [N,C,...] and W [M,C/groups,...] in {} groups", c.groups),
            format!("{x} and {w}"),
        ));
    }
    let kernel = &w_shape[2..];
    let spatial = each_axis(
        &x_dims[2..],
        |axis| spatial::convolution_keeps_extent(c, kernel, axis),
        |known| {
            Ok(spatial::convolution(c, known, kernel)?
                .iter()
                .map(|a| a.output)
                .collect())
        },
    )?;
    Ok(typed(
        made,
        spatial.map(|s| [&[x_dims[0], Dim::Known(w_shape[0])], &s[..]].concat()),
    ))
}

/// `(X, W, B?)` of [`crate::Op::ConvTranspose`].
pub(super) fn transposed(c: &Convolution, inputs: Known<'_>) -> Result<TensorType> {
    let x = inputs.ty(0)?;
    let w = inputs.ty(1)?;
    let (Some(x_dims), Some(w_shape)) = (spatial_dims(x)?, w.shape()) else {
        return Ok(TensorType::unshaped(dtype(x)));
    };
    let kernels = w_shape.get(1).and_then(|n| n.checked_mul(c.groups));
    let fits =
        w_shape.len() == x_dims.len() && x_dims[1].known().is_none_or(|n| n == w_shape[0]) && c.groups > 0;
    let (true, Some(kernels)) = (fits && w_shape[0].is_multiple_of(c.groups), kernels) else {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            format!("X [N,C,...] and W [C,M/groups,...] in {} groups", c.groups),
            format!("{x} and {w}"),
        ));
    };
    let spatial = each_axis(
        &x_dims[2..],
        |_| Ok(false),
        |known| {
            Ok(spatial::transposed(c, known, &w_shape[2..])?
                .iter()
                .map(|a| a.input)
                .collect())
        },
    )?;
    Ok(typed(
        dtype(x),
        spatial.map(|s| [&[x_dims[0], Dim::Known(kernels)], &s[..]].concat()),
    ))
}

/// `(X)` of [`crate::Op::Pool`].
pub(super) fn pool(p: &Pool, inputs: Known<'_>) -> Result<Vec<TensorType>> {
    let x = inputs.ty(0)?;
    let dims = match spatial_dims(x)? {
        None => None,
        Some(dims) => each_axis(
            &dims[2..],
            |axis| spatial::pool_keeps_extent(p, axis),
            |known| Ok(spatial::pool(p, known)?.iter().map(|a| a.output).collect()),
        )?
        .map(|s| [&dims[..2], &s[..]].concat()),
    };
    Ok(vec![typed(dtype(x), dims.clone()), typed(Dtype::I64, dims)])
}

/// `(X)` of [`crate::Op::GlobalPool`].
pub(super) fn global_pool(inputs: Known<'_>) -> Result<TensorType> {
    let x = inputs.ty(0)?;
    let dims = spatial_dims(x)?.map(|dims| {
        let mut pooled = dims[..2].to_vec();
        pooled.resize(dims.len(), Dim::Known(1));
        pooled
    });
    Ok(typed(dtype(x), dims))
}

/// `(X, indices, shape?)` of [`crate::Op::MaxUnpool`].
pub(super) fn unpool(p: &Pool, inputs: Known<'_>) -> Result<TensorType> {
    let x = inputs.ty(0)?;
    if inputs.has(2) {
        let shape = inputs.constant(2).map(spatial::extents).transpose()?;
        let dims = shape.map(|shape| shape.into_iter().map(Dim::Known).collect());
        return Ok(typed(dtype(x), dims));
    }
    let Some(dims) = spatial_dims(x)? else {
        return Ok(TensorType::unshaped(dtype(x)));
    };
    let spatial = each_axis(&dims[2..], |_| Ok(false), |known| spatial::unpooled(p, known))?;
    Ok(typed(dtype(x), spatial.map(|s| [&dims[..2], &s[..]].concat())))
}

/// `(X, image_shape, block_shape)` of [`crate::Op::Col2Im`].
pub(super) fn columns(inputs: Known<'_>) -> Result<TensorType> {
    let x = inputs.ty(0)?;
    let (Some(dims), Some(image), Some(block)) = (x.dims.as_deref(), inputs.constant(1), inputs.constant(2))
    else {
        return Ok(TensorType::unshaped(dtype(x)));
    };
    let (image, block) = (spatial::extents(image)?, spatial::extents(block)?);
    let window = element_count(&block).filter(|&n| n > 0);
    let (&[batch, Dim::Known(depth), _], Some(window)) = (dims, window) else {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            "X [N,C*block,places] with a block that is not empty",
            format!("{x} and {block:?}"),
        ));
    };
    let mut found = vec![batch, Dim::Known(depth / window)];
    found.extend(image.into_iter().map(Dim::Known));
    Ok(typed(dtype(x), Some(found)))
}
