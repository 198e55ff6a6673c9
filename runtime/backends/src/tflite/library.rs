//! TensorFlow Lite's C functions, out of a library that is loaded while running.
//!
//! <https://www.tensorflow.org/lite/api_docs/c>: the functions of `c_api.h`, equal since release 2.5.
#![allow(unsafe_code, reason = "a C interface")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use libloading::Library;
use limbic_bundle::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::library::Wanted;

/// Something that the library made.
type Handle = *mut c_void;

/// Declares the functions once: name here, name in the library, type.
macro_rules! functions {
    ($($name:ident = $symbol:literal: $type:ty,)*) => {
        struct Functions {
            $($name: $type,)*
        }

        const SYMBOLS: &[&str] = &[$($symbol),*];

        impl Functions {
            /// # Safety
            /// The library's functions of these names have these types, and it lives as long as they are called.
            unsafe fn of(library: &Library) -> std::result::Result<Self, libloading::Error> {
                Ok(Self {
                    // SAFETY: as the caller says.
                    $($name: unsafe { *library.get::<$type>($symbol.as_bytes())? },)*
                })
            }
        }
    };
}

functions! {
    version = "TfLiteVersion": unsafe extern "C" fn() -> *const c_char,
    model_create = "TfLiteModelCreate": unsafe extern "C" fn(*const c_void, usize) -> Handle,
    model_delete = "TfLiteModelDelete": unsafe extern "C" fn(Handle),
    options_create = "TfLiteInterpreterOptionsCreate": unsafe extern "C" fn() -> Handle,
    options_delete = "TfLiteInterpreterOptionsDelete": unsafe extern "C" fn(Handle),
    options_threads = "TfLiteInterpreterOptionsSetNumThreads": unsafe extern "C" fn(Handle, i32),
    create = "TfLiteInterpreterCreate": unsafe extern "C" fn(Handle, Handle) -> Handle,
    delete = "TfLiteInterpreterDelete": unsafe extern "C" fn(Handle),
    input_count = "TfLiteInterpreterGetInputTensorCount": unsafe extern "C" fn(Handle) -> i32,
    input = "TfLiteInterpreterGetInputTensor": unsafe extern "C" fn(Handle, i32) -> Handle,
    allocate = "TfLiteInterpreterAllocateTensors": unsafe extern "C" fn(Handle) -> c_int,
    invoke = "TfLiteInterpreterInvoke": unsafe extern "C" fn(Handle) -> c_int,
    output_count = "TfLiteInterpreterGetOutputTensorCount": unsafe extern "C" fn(Handle) -> i32,
    output = "TfLiteInterpreterGetOutputTensor": unsafe extern "C" fn(Handle, i32) -> Handle,
    tensor_name = "TfLiteTensorName": unsafe extern "C" fn(Handle) -> *const c_char,
    tensor_type = "TfLiteTensorType": unsafe extern "C" fn(Handle) -> c_int,
    tensor_rank = "TfLiteTensorNumDims": unsafe extern "C" fn(Handle) -> i32,
    tensor_size = "TfLiteTensorDim": unsafe extern "C" fn(Handle, i32) -> i32,
    tensor_read = "TfLiteTensorCopyToBuffer": unsafe extern "C" fn(Handle, *mut c_void, usize) -> c_int,
    tensor_write = "TfLiteTensorCopyFromBuffer": unsafe extern "C" fn(Handle, *const c_void, usize) -> c_int,
}

/// What is looked for in the file.
static WANTED: Wanted = Wanted {
    name: "TensorFlow Lite",
    variable: "TFLITE_DYLIB_PATH",
    symbols: SYMBOLS,
    told: Mutex::new(None),
};

/// First release whose functions these are.
const LEAST: (u32, u32) = (2, 5);

/// The libraries that this process uses.
static LOADED: Mutex<Vec<&'static Runtime>> = Mutex::new(Vec::new());

/// TensorFlow Lite, loaded.
pub(super) struct Runtime {
    path: PathBuf,
    pub(super) version: String,
    functions: Functions,
    /// Held, as the functions are its code.
    _library: Library,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("path", &self.path)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The library at the path that was told, loaded once.
pub(super) fn load() -> Result<&'static Runtime> {
    let path = WANTED.inspect(&WANTED.path()?)?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = loaded.iter().find(|runtime| runtime.path == path) {
        return Ok(runtime);
    }
    let runtime = open(path)?;
    log::info!(
        "TensorFlow Lite {} at {}",
        runtime.version,
        runtime.path.display()
    );
    let runtime: &'static Runtime = Box::leak(Box::new(runtime));
    loaded.push(runtime);
    Ok(runtime)
}

/// Uses the library at this path in place of the environment's.
pub(crate) fn tell(path: &Path) {
    let mut told = WANTED.told.lock().unwrap_or_else(PoisonError::into_inner);
    *told = Some(path.to_owned());
}

fn open(path: PathBuf) -> Result<Runtime> {
    let refused = |expected: &str, found: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Library, path.display().to_string(), expected, found)
    };
    // SAFETY: the file is a whole shared library for this machine that has TensorFlow Lite's functions; a library runs
    // code of its own when it is loaded, which is what the user named it for.
    let library = unsafe { Library::new(&path) }.map_err(|error| refused("a library that loads", &error))?;
    // SAFETY: the functions have had these types since the release that is asked for; only the oldest is called before
    // the release is known.
    let functions = unsafe { Functions::of(&library) };
    let functions = functions.map_err(|error| refused("a library with its functions", &error))?;
    // SAFETY: it takes nothing and gives a text that lives as long as the library.
    let version = unsafe { text((functions.version)()) };
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    let number = parts.next().flatten().zip(parts.next().flatten());
    if !number.is_some_and(|number| number.0 == LEAST.0 && number >= LEAST) {
        let expected = format!("TensorFlow Lite {}.{} or newer of {0}.x", LEAST.0, LEAST.1);
        return Err(refused(&expected, &format_args!("{version:?}")));
    }
    Ok(Runtime {
        path,
        version,
        functions,
        _library: library,
    })
}

/// A text of the library; nothing where there is none.
///
/// # Safety
/// The pointer is null or that of a text that ends in 0.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: as the caller says.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_string_lossy().into_owned()
}

/// A file that the library reads in place.
pub(super) struct Model {
    runtime: &'static Runtime,
    handle: NonNull<c_void>,
    _content: Bytes,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").finish_non_exhaustive()
    }
}

// SAFETY: the library only reads a model behind its making, from any thread.
unsafe impl Send for Model {}
// SAFETY: as above.
unsafe impl Sync for Model {}

impl Model {
    /// Nothing where the library refuses the content.
    pub(super) fn read(runtime: &'static Runtime, content: Bytes) -> Option<Self> {
        // SAFETY: the content lies where it is for as long as the model does.
        let handle = unsafe { (runtime.functions.model_create)(content.as_ptr().cast(), content.len()) };
        Some(Self {
            runtime,
            handle: NonNull::new(handle)?,
            _content: content,
        })
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: made by the library, and no interpreter is left, as each holds the model.
        unsafe { (self.runtime.functions.model_delete)(self.handle.as_ptr()) }
    }
}

/// What is known of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) name: String,
    /// The library's number of its type.
    pub(super) kind: i32,
    pub(super) dims: Vec<usize>,
}

/// A model with memory to run in, on the caller's thread and others.
pub(super) struct Interpreter {
    model: Arc<Model>,
    handle: NonNull<c_void>,
    inputs: i32,
    outputs: i32,
}

// SAFETY: the library asks that an interpreter is used by one thread at a time, whichever it is.
unsafe impl Send for Interpreter {}

impl Interpreter {
    /// Nothing where the library lacks an operator of the model.
    pub(super) fn new(model: Arc<Model>, threads: usize) -> Option<Self> {
        let functions = &model.runtime.functions;
        // SAFETY: the options are the library's, are given to functions of the library, and end here; the model lives
        // as long as the interpreter, which holds it.
        let handle = unsafe {
            let options = (functions.options_create)();
            (functions.options_threads)(options, i32::try_from(threads).unwrap_or(i32::MAX));
            let handle = (functions.create)(model.handle.as_ptr(), options);
            (functions.options_delete)(options);
            NonNull::new(handle)?
        };
        // SAFETY: the interpreter is alive.
        let (inputs, outputs) = unsafe {
            (
                (functions.input_count)(handle.as_ptr()),
                (functions.output_count)(handle.as_ptr()),
            )
        };
        Some(Self {
            model,
            handle,
            inputs,
            outputs,
        })
    }

    fn functions(&self) -> &'static Functions {
        &self.model.runtime.functions
    }

    fn input(&self, index: usize) -> Option<Handle> {
        let index = i32::try_from(index).ok().filter(|index| *index < self.inputs)?;
        // SAFETY: the interpreter is alive and has an input of this index.
        let tensor = unsafe { (self.functions().input)(self.handle.as_ptr(), index) };
        (!tensor.is_null()).then_some(tensor)
    }

    fn output(&self, index: usize) -> Option<Handle> {
        let index = i32::try_from(index).ok().filter(|index| *index < self.outputs)?;
        // SAFETY: the interpreter is alive and has an output of this index.
        let tensor = unsafe { (self.functions().output)(self.handle.as_ptr(), index) };
        (!tensor.is_null()).then_some(tensor)
    }

    fn described(&self, tensor: Handle) -> Described {
        let functions = self.functions();
        // SAFETY: a tensor of the interpreter, which is alive; each size is asked for within the rank.
        unsafe {
            let rank = (functions.tensor_rank)(tensor).max(0);
            let sizes = (0..rank).map(|axis| (functions.tensor_size)(tensor, axis));
            Described {
                name: text((functions.tensor_name)(tensor)),
                kind: (functions.tensor_type)(tensor),
                dims: sizes.map(|size| usize::try_from(size).unwrap_or(0)).collect(),
            }
        }
    }

    /// The inputs in the file's order.
    pub(super) fn inputs(&self) -> Vec<Described> {
        let all = (0..usize::try_from(self.inputs).unwrap_or(0)).filter_map(|index| self.input(index));
        all.map(|tensor| self.described(tensor)).collect()
    }

    /// The outputs in the file's order; their sizes are known once [`Interpreter::allocate`] was called.
    pub(super) fn outputs(&self) -> Vec<Described> {
        let all = (0..usize::try_from(self.outputs).unwrap_or(0)).filter_map(|index| self.output(index));
        all.map(|tensor| self.described(tensor)).collect()
    }

    /// Takes memory for all tensors.
    pub(super) fn allocate(&mut self) -> bool {
        // SAFETY: the interpreter is alive.
        unsafe { (self.functions().allocate)(self.handle.as_ptr()) == 0 }
    }

    /// Runs the model.
    pub(super) fn invoke(&mut self) -> bool {
        // SAFETY: the interpreter is alive.
        unsafe { (self.functions().invoke)(self.handle.as_ptr()) == 0 }
    }

    /// Fills an input; `false` where it has not as many bytes.
    pub(super) fn write(&mut self, index: usize, bytes: &[u8]) -> bool {
        let write = |tensor: Handle| {
            // SAFETY: a tensor of the interpreter; the library compares the length with the tensor's.
            unsafe { (self.functions().tensor_write)(tensor, bytes.as_ptr().cast(), bytes.len()) == 0 }
        };
        self.input(index).is_some_and(write)
    }

    /// Copies an output; `false` where it has not as many bytes.
    pub(super) fn read(&self, index: usize, bytes: &mut [u8]) -> bool {
        let read = |tensor: Handle| {
            // SAFETY: a tensor of the interpreter; the library compares the length with the tensor's.
            unsafe { (self.functions().tensor_read)(tensor, bytes.as_mut_ptr().cast(), bytes.len()) == 0 }
        };
        self.output(index).is_some_and(read)
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        // SAFETY: made by the library and given to nobody else.
        unsafe { (self.functions().delete)(self.handle.as_ptr()) }
    }
}
