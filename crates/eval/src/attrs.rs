//! Attribute sets: a shared layout (which names, defined where) and one value for each name.
//!
//! Sets with the same names from the same places share one layout, and the layouts of results of
//! `//` are remembered for each pair of layouts, so that a set costs one word for each name. A small
//! set laid over a large one, or a large one over a small one, keeps both as they are; whoever walks
//! such a set gets it merged, once.
#![expect(unsafe_code, reason = "values follow the head of a set in memory")]

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::heap::Heap;
use crate::symbols::{Symbol, Symbols};
use crate::value::Value;

/// For results of up to this many names, where each value comes from is remembered, too.
const MAX_PICKED: usize = 64;
/// Sets are laid over each other when one has more than this many times the other's names.
const LAYER_RATIO: usize = 4;
/// Sets of fewer names are always merged.
const MIN_LAYERED: usize = 32;
/// When there are so many times more names, looking each one up is faster than walking them all.
const SPARSE: usize = 8;
/// How many sets may lie on each other.
const MAX_LAYERS: u32 = 8;

/// Which names a set has and where each was defined.
pub(crate) struct Layout {
    /// Sorted.
    pub(crate) keys: &'static [Symbol],
    /// Positions, one for each name; 0 for none.
    pub(crate) positions: &'static [u32],
    /// The names in the order of their texts, as indices, once they were asked for.
    order: Cell<Option<&'static [u32]>>,
    /// The layout of the same names without positions, once it was asked for.
    bare: Cell<Option<&'static Self>>,
}

/// The first word of a set. A flat set's word is the address of its layout, and its values follow;
/// a layered one's is a mark with the number of its names and of its layers, and the two sets
/// follow, or the merged one.
pub(crate) struct AttrsHead(Cell<u64>);

const LAYERED: u64 = 1;
const MERGED: u64 = 3;
const MARK: u64 = 3;

/// An attribute set.
#[derive(Clone, Copy)]
pub(crate) struct Attrs(pub(crate) &'static AttrsHead);

/// A flat set: names and values side by side.
#[derive(Clone, Copy)]
pub(crate) struct Flat {
    pub(crate) layout: &'static Layout,
    pub(crate) values: &'static [Cell<Value>],
}

/// An attribute that was found.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) value: &'static Cell<Value>,
    pub(crate) position: u32,
}

impl Layout {
    /// The index of a name.
    #[inline]
    pub(crate) fn find(&self, symbol: Symbol) -> Option<usize> {
        if self.keys.len() <= 8 {
            self.keys.iter().position(|&key| key == symbol)
        } else {
            self.keys.binary_search(&symbol).ok()
        }
    }

    #[inline]
    pub(crate) fn position(&self, at: usize) -> u32 {
        self.positions.get(at).copied().unwrap_or(0)
    }

    /// The indices of the names, sorted by text.
    pub(crate) fn order(&self, heap: &Heap, symbols: &Symbols) -> &'static [u32] {
        if let Some(order) = self.order.get() {
            return order;
        }
        let mut order: Vec<u32> = (0..self.keys.len() as u32).collect();
        symbols.sort_by_text(self.keys, &mut order);
        let order = heap.keep_slice(&order);
        self.order.set(Some(order));
        order
    }
}

impl Attrs {
    #[inline]
    pub(crate) fn value(self) -> Value {
        Value::attrs(self.0)
    }

    #[inline]
    fn word(self, at: usize) -> &'static Cell<u64> {
        // SAFETY: each kind of set has the words that are asked for below.
        unsafe { &*std::ptr::from_ref(self.0).cast::<Cell<u64>>().add(at) }
    }

    fn set_at(self, at: usize) -> Self {
        // SAFETY: the words behind a layered or merged head are addresses of heads.
        Self(unsafe { &*(self.word(at).get() as *const AttrsHead) })
    }

    /// The set as it is in memory, if it is flat.
    #[inline]
    pub(crate) fn as_flat(self) -> Option<Flat> {
        let word = self.0.0.get();
        if word & MARK == 0 {
            // SAFETY: without a mark, the word is the address of a layout and so many values follow.
            return Some(unsafe {
                let layout = &*(word as *const Layout);
                let values = std::ptr::from_ref(self.0).cast::<Cell<Value>>().add(1);
                let values = std::slice::from_raw_parts(values, layout.keys.len());
                Flat { layout, values }
            });
        }
        (word & MARK == MERGED).then(|| self.set_at(1).as_flat()).flatten()
    }

    pub(crate) fn len(self) -> usize {
        match self.as_flat() {
            Some(flat) => flat.values.len(),
            None => (self.0.0.get() >> 16) as usize,
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.len() == 0
    }

    fn depth(self) -> u32 {
        if self.as_flat().is_some() { 0 } else { (self.0.0.get() >> 2) as u32 & 0x3fff }
    }

    /// The attribute of this name.
    #[inline]
    pub(crate) fn find(self, symbol: Symbol) -> Option<Found> {
        let mut set = self;
        loop {
            if let Some(flat) = set.as_flat() {
                let at = flat.layout.find(symbol)?;
                return Some(Found { value: &flat.values[at], position: flat.layout.position(at) });
            }
            if let Some(found) = set.set_at(2).find(symbol) {
                return Some(found);
            }
            set = set.set_at(1);
        }
    }

    #[inline]
    pub(crate) fn get(self, symbol: Symbol) -> Option<Value> {
        self.find(symbol).map(|found| found.value.get())
    }
}

/// Makes sets and remembers layouts.
pub(crate) struct Layouts {
    shared: RefCell<HashTable<&'static Layout>>,
    merges: RefCell<FxHashMap<(usize, usize), &'static Merge>>,
    large_merges: RefCell<FxHashMap<(usize, usize), &'static Layout>>,
    empty: Cell<Option<Attrs>>,
}

/// What `//` does to sets of two layouts.
struct Merge {
    layout: &'static Layout,
    /// For each name, its index in the left set, or that in the right one plus the left one's size.
    picks: &'static [u32],
}

impl Layouts {
    pub(crate) fn new() -> Self {
        Self {
            shared: RefCell::default(),
            merges: RefCell::default(),
            large_merges: RefCell::default(),
            empty: Cell::new(None),
        }
    }

    /// The layout of sorted names; `positions` are as many.
    pub(crate) fn layout(
        &self,
        heap: &Heap,
        keys: &[Symbol],
        positions: &[u32],
    ) -> &'static Layout {
        let hash_of = |layout: &Layout| FxBuildHasher.hash_one((layout.keys, layout.positions));
        let hash = FxBuildHasher.hash_one((keys, positions));
        let mut shared = self.shared.borrow_mut();
        let is_same = |layout: &&Layout| layout.keys == keys && layout.positions == positions;
        if let Some(found) = shared.find(hash, is_same) {
            return found;
        }
        let layout = heap.keep_layout(heap.keep_slice(keys), heap.keep_slice(positions));
        shared.insert_unique(hash, layout, |layout| hash_of(layout));
        layout
    }

    /// The layout of the same names, defined nowhere.
    pub(crate) fn without_positions(
        &self,
        heap: &Heap,
        layout: &'static Layout,
    ) -> &'static Layout {
        if let Some(bare) = layout.bare.get() {
            return bare;
        }
        let bare = self.layout(heap, layout.keys, &vec![0; layout.keys.len()]);
        layout.bare.set(Some(bare));
        bare
    }

    /// A set without attributes.
    pub(crate) fn empty(&self, heap: &Heap) -> Attrs {
        if let Some(empty) = self.empty.get() {
            return empty;
        }
        let layout = self.layout(heap, &[], &[]);
        let empty = heap.attrs(layout, std::iter::empty());
        self.empty.set(Some(empty));
        empty
    }

    /// A set of attributes `(name, position, value)`, sorted by name here; names differ.
    pub(crate) fn set(&self, heap: &Heap, attrs: &mut [(Symbol, u32, Value)]) -> Attrs {
        attrs.sort_unstable_by_key(|attr| attr.0);
        let keys: Vec<Symbol> = attrs.iter().map(|attr| attr.0).collect();
        let positions: Vec<u32> = attrs.iter().map(|attr| attr.1).collect();
        let layout = self.layout(heap, &keys, &positions);
        heap.attrs(layout, attrs.iter().map(|attr| attr.2))
    }

    /// The set in which names and values lie side by side.
    pub(crate) fn flat(&self, heap: &Heap, set: Attrs) -> Flat {
        match set.as_flat() {
            Some(flat) => flat,
            None => self.merged(heap, set),
        }
    }

    #[cold]
    fn merged(&self, heap: &Heap, set: Attrs) -> Flat {
        // From the bottom up, each layer over what lies below it.
        let mut layers = vec![];
        let mut at = set;
        let mut flat = loop {
            match at.as_flat() {
                Some(flat) => break flat,
                None => {
                    layers.push(at.set_at(2));
                    at = at.set_at(1);
                }
            }
        };
        let mut merged = at;
        while let Some(upper) = layers.pop() {
            let upper = self.flat(heap, upper);
            merged = merge_walk(self, heap, flat, upper);
            flat = self.flat(heap, merged);
        }
        set.word(1).set(std::ptr::from_ref(merged.0) as u64);
        set.0.0.set(MERGED);
        flat
    }

    /// `left // right`.
    pub(crate) fn update(&self, heap: &Heap, left: Attrs, right: Attrs) -> Attrs {
        let (n_left, n_right) = (left.len(), right.len());
        if n_left == 0 {
            return right;
        }
        if n_right == 0 {
            return left;
        }
        let (small, large) = if n_left > n_right { (right, left) } else { (left, right) };
        if large.len() >= MIN_LAYERED
            && large.len() > small.len() * LAYER_RATIO
            && large.depth() < MAX_LAYERS
        {
            let small_keys = self.flat(heap, small).layout.keys;
            let n_new = small_keys.iter().filter(|&&key| large.find(key).is_none()).count();
            return layered(heap, left, right, large.len() + n_new);
        }
        let (left, right) = (self.flat(heap, left), self.flat(heap, right));
        if n_left + n_right > MAX_PICKED {
            return merge_walk(self, heap, left, right);
        }
        let merge = self.merge(heap, left.layout, right.layout);
        let value = |&pick: &u32| {
            let pick = pick as usize;
            if pick < n_left { left.values[pick].get() } else { right.values[pick - n_left].get() }
        };
        heap.attrs(merge.layout, merge.picks.iter().map(value))
    }

    fn merge(&self, heap: &Heap, left: &'static Layout, right: &'static Layout) -> &'static Merge {
        let key = (std::ptr::from_ref(left) as usize, std::ptr::from_ref(right) as usize);
        if let Some(merge) = self.merges.borrow().get(&key) {
            return merge;
        }
        let n_left = left.keys.len();
        let n = n_left + right.keys.len();
        let (mut keys, mut positions) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut picks = Vec::with_capacity(n);
        walk(left.keys, right.keys, |symbol, pick| {
            keys.push(symbol);
            let (at, position) = match pick {
                Ok(at) => (at, left.position(at)),
                Err(at) => (at + n_left, right.position(at)),
            };
            positions.push(position);
            picks.push(at as u32);
        });
        let layout = self.layout(heap, &keys, &positions);
        let merge = heap.keep(Merge { layout, picks: heap.keep_slice(&picks) });
        self.merges.borrow_mut().insert(key, merge);
        merge
    }
}

impl Clone for Merge {
    fn clone(&self) -> Self {
        *self
    }
}

impl Copy for Merge {}

/// Walks two sorted lists of names as one: `Ok` with the index in the left, `Err` with that in the
/// right one, which wins.
fn walk(left: &[Symbol], right: &[Symbol], mut each: impl FnMut(Symbol, Result<usize, usize>)) {
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        match (left.get(l), right.get(r)) {
            (Some(&a), b) if b.is_none_or(|&b| a < b) => {
                each(a, Ok(l));
                l += 1;
            }
            (a, Some(&b)) => {
                l += usize::from(a == Some(&b));
                each(b, Err(r));
                r += 1;
            }
            _ => break,
        }
    }
}

fn merge_walk(layouts: &Layouts, heap: &Heap, left: Flat, right: Flat) -> Attrs {
    let pair =
        (std::ptr::from_ref(left.layout) as usize, std::ptr::from_ref(right.layout) as usize);
    let known = layouts.large_merges.borrow().get(&pair).copied();
    let layout = known.unwrap_or_else(|| {
        let n = left.values.len() + right.values.len();
        let (mut keys, mut positions) = (Vec::with_capacity(n), Vec::with_capacity(n));
        walk(left.layout.keys, right.layout.keys, |symbol, pick| {
            keys.push(symbol);
            positions.push(match pick {
                Ok(at) => left.layout.position(at),
                Err(at) => right.layout.position(at),
            });
        });
        let layout = layouts.layout(heap, &keys, &positions);
        layouts.large_merges.borrow_mut().insert(pair, layout);
        layout
    });
    let (keys, under, over) = (layout.keys, left.layout.keys, right.layout.keys);
    let is_sparse = over.len() * SPARSE < keys.len();
    let (mut l, mut r) = (0, 0);
    heap.attrs_with(layout, |values| {
        // Between two names of the right set lies a run of the left one.
        while let Some(&key) = over.get(r) {
            let rest = &keys[values.filled..];
            let n = if is_sparse {
                rest.binary_search(&key).unwrap_or(0)
            } else {
                rest.iter().position(|&other| other == key).unwrap_or(0)
            };
            values.extend(&left.values[l..l + n]);
            l += n;
            l += usize::from(under.get(l) == Some(&key));
            values.push(right.values[r].get());
            r += 1;
        }
        values.extend(&left.values[l..]);
    })
}

/// Lays a set over another; together they have `total` names.
fn layered(heap: &Heap, lower: Attrs, upper: Attrs, total: usize) -> Attrs {
    let depth = lower.depth().max(upper.depth()) + 1;
    let mark = LAYERED | u64::from(depth) << 2 | (total as u64) << 16;
    let words = [mark, std::ptr::from_ref(lower.0) as u64, std::ptr::from_ref(upper.0) as u64];
    let head = heap.keep_slice(&words);
    // SAFETY: the words are laid out as a layered set's.
    Attrs(unsafe { &*head.as_ptr().cast::<AttrsHead>() })
}

impl Heap {
    pub(crate) fn keep_layout(
        &self,
        keys: &'static [Symbol],
        positions: &'static [u32],
    ) -> &'static Layout {
        let place = self.words(size_of::<Layout>().div_ceil(8)).cast::<Layout>();
        // SAFETY: the place is new, large and aligned enough.
        unsafe {
            place.write(Layout { keys, positions, order: Cell::new(None), bare: Cell::new(None) });
            &*place
        }
    }

    /// A set of a layout with its values in the layout's order.
    #[inline]
    pub(crate) fn attrs(
        &self,
        layout: &'static Layout,
        values: impl Iterator<Item = Value>,
    ) -> Attrs {
        let n = layout.keys.len();
        self.attrs_with(layout, |filler| {
            for value in values.take(n) {
                filler.push(value);
            }
        })
    }

    /// A set of a layout whose values `fill` writes in the layout's order.
    #[inline]
    pub(crate) fn attrs_with(
        &self,
        layout: &'static Layout,
        fill: impl FnOnce(&mut Filler),
    ) -> Attrs {
        let n = layout.keys.len();
        let at = self.words(1 + n);
        // SAFETY: the words are new and enough; what the values lack is filled up.
        unsafe {
            *at = std::ptr::from_ref(layout) as u64;
            let mut filler = Filler { at: at.add(1).cast(), filled: 0, n };
            fill(&mut filler);
            while filler.filled < n {
                filler.push(Value::NULL);
            }
            Attrs(&*at.cast::<AttrsHead>())
        }
    }
}

/// Writes the values of a new set.
pub(crate) struct Filler {
    at: *mut Value,
    filled: usize,
    n: usize,
}

impl Filler {
    #[inline]
    fn push(&mut self, value: Value) {
        debug_assert!(self.filled < self.n);
        if self.filled < self.n {
            // SAFETY: the set has room for `n` values.
            unsafe { *self.at.add(self.filled) = value };
            self.filled += 1;
        }
    }

    #[inline]
    fn extend(&mut self, values: &[Cell<Value>]) {
        let n = values.len().min(self.n - self.filled);
        // SAFETY: the set has room for so many more, and nobody else has seen it yet; cells are
        // laid out as what they hold.
        unsafe {
            std::ptr::copy_nonoverlapping(values.as_ptr().cast(), self.at.add(self.filled), n);
        }
        self.filled += n;
    }
}
