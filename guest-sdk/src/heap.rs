//! The heap of a guest on wasm32: dlmalloc, as in the standard library, but
//! its first memory is part of the module instead of grown at run time. Not
//! for the developer's machine, where the system's allocator serves.
//!
//! A guest starts afresh for each event. Growing its memory means two changes
//! of the page tables for each event, which the other processors have to hear
//! of; [`FIRST_BYTES`] are enough for most events, and beyond them memory grows
//! as it always does, up to the grant's limit.

#![allow(
    unsafe_code,
    reason = "the traits of allocators are unsafe; a guest has one thread, so nothing is shared"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, UnsafeCell};

use dlmalloc::{Allocator, Dlmalloc};

/// Room for a message, its configuration and what a decision makes of them.
const FIRST_BYTES: usize = 192 << 10;

const PAGE: usize = 64 << 10;

#[global_allocator]
static HEAP: Heap = Heap(UnsafeCell::new(Dlmalloc::new_with_allocator(Memory::new())));

struct Heap(UnsafeCell<Dlmalloc<Memory>>);

// SAFETY: a component has one thread, and no call of the allocator begins
// inside another.
unsafe impl Sync for Heap {}

// SAFETY: what dlmalloc promises is what the trait asks for; the arguments are
// handed on unchanged.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { (*self.0.get()).free(ptr, layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        unsafe { (*self.0.get()).realloc(ptr, layout.size(), layout.align(), new_size) }
    }
}

#[repr(align(16))]
struct First(UnsafeCell<[u8; FIRST_BYTES]>);

// SAFETY: handed out once, to dlmalloc, by the one thread.
unsafe impl Sync for First {}

static FIRST: First = First(UnsafeCell::new([0; FIRST_BYTES]));

/// Where dlmalloc gets memory from.
struct Memory {
    first_is_taken: Cell<bool>,
}

impl Memory {
    const fn new() -> Self {
        Self { first_is_taken: Cell::new(false) }
    }
}

// SAFETY: every region is handed out once: `FIRST` by its mark, others because
// memory only grows.
unsafe impl Allocator for Memory {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        if size <= FIRST_BYTES && !self.first_is_taken.replace(true) {
            return (FIRST.0.get().cast(), FIRST_BYTES, 0);
        }
        let pages = size.div_ceil(PAGE);
        let before = core::arch::wasm32::memory_grow(0, pages);
        // The last page could end where addresses do; the limit of a grant is
        // far below.
        if before == usize::MAX {
            return (std::ptr::null_mut(), 0, 0);
        }
        ((before * PAGE) as *mut u8, pages * PAGE, 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        std::ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE
    }
}
