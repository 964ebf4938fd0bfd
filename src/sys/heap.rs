//! Being told by V8 of what happens to the heap of this thread: collections, and that its limit is near.
//!
//! Both run in the middle of a collection, on the thread of JavaScript: they may touch nothing of JavaScript's.

use std::ffi::c_void;

use super::symbols::symbols;

type OnNearLimit = unsafe extern "C" fn(*mut c_void, usize, usize) -> usize;
type OnCollection = unsafe extern "C" fn(*mut c_void, u32, u32, *mut c_void);

// V8's own, as C++ mangles them: plain pointers, numbers and enumerations, the same in all lines of Node.
symbols! {
    current = c"_ZN2v87Isolate10GetCurrentEv": unsafe extern "C" fn() -> *mut c_void;
    near_limit = c"_ZN2v87Isolate24AddNearHeapLimitCallbackEPFmPvmmES1_": unsafe extern "C" fn(*mut c_void, OnNearLimit, *mut c_void);
    before = c"_ZN2v87Isolate21AddGCPrologueCallbackEPFvPS0_NS_6GCTypeENS_15GCCallbackFlagsEPvES4_S2_": unsafe extern "C" fn(*mut c_void, OnCollection, *mut c_void, u32);
    after = c"_ZN2v87Isolate21AddGCEpilogueCallbackEPFvPS0_NS_6GCTypeENS_15GCCallbackFlagsEPvES4_S2_": unsafe extern "C" fn(*mut c_void, OnCollection, *mut c_void, u32);
}

/// All kinds of collections.
const ALL: u32 = 31;

/// What is to be told.
#[derive(Debug, Clone, Copy)]
pub struct Watcher {
    /// The limit is near, and would be exceeded: gets the limit and the one at the start, gives the limit from now on.
    pub near_limit: fn(usize, usize) -> usize,
    /// A collection begins (true) or ends.
    pub collection: fn(bool),
}

/// Has the watcher told of the heap of this thread, for good; whether this host can. To be called once.
pub fn watch(watcher: &'static Watcher) -> bool {
    let Some(symbols) = Symbols::load() else { return false };
    let data = std::ptr::from_ref(watcher).cast_mut().cast::<c_void>();
    // SAFETY: the isolate is the one this thread has entered; the callbacks read `data` only, which lives for good.
    unsafe {
        let isolate = (symbols.current)();
        if isolate.is_null() {
            return false;
        }
        (symbols.near_limit)(isolate, on_near_limit, data);
        (symbols.before)(isolate, on_before, data, ALL);
        (symbols.after)(isolate, on_after, data, ALL);
    }
    true
}

unsafe extern "C" fn on_near_limit(data: *mut c_void, limit: usize, initial: usize) -> usize {
    // SAFETY: `data` is the watcher of `watch`, which lives for good.
    let watcher = unsafe { &*data.cast::<Watcher>() };
    (watcher.near_limit)(limit, initial)
}

unsafe extern "C" fn on_before(_isolate: *mut c_void, _kind: u32, _flags: u32, data: *mut c_void) {
    // SAFETY: as above.
    let watcher = unsafe { &*data.cast::<Watcher>() };
    (watcher.collection)(true);
}

unsafe extern "C" fn on_after(_isolate: *mut c_void, _kind: u32, _flags: u32, data: *mut c_void) {
    // SAFETY: as above.
    let watcher = unsafe { &*data.cast::<Watcher>() };
    (watcher.collection)(false);
}
