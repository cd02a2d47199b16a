//! Messages that were written or read lately.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::hash::HashMap;
use crate::wire::Stored;

/// Keeps the last ones up to a number of bytes.
pub(crate) struct Cache {
    most: usize,
    weight: usize,
    messages: HashMap<u64, Arc<Stored>>,
    order: VecDeque<u64>,
}

impl Cache {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, weight: 0, messages: HashMap::default(), order: VecDeque::new() }
    }

    pub(crate) fn get(&self, sequence: u64) -> Option<Arc<Stored>> {
        self.messages.get(&sequence).cloned()
    }

    pub(crate) fn put(&mut self, message: &Arc<Stored>) {
        if message.weight() > self.most {
            return;
        }
        if self.messages.insert(message.sequence, Arc::clone(message)).is_some() {
            return;
        }
        self.order.push_back(message.sequence);
        self.weight += message.weight();
        while self.weight > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            let gone = self.messages.remove(&oldest);
            self.weight -= gone.map_or(0, |message| message.weight());
        }
    }
}
