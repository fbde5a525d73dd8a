//! Transaction-log generations, fencing epochs and the disk they are written to.
