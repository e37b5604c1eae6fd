//! What was worked out in a turn and others may use.

use std::any::Any;

/// Anything, until the turn ends.
#[derive(Default)]
pub struct Memo(Option<Box<dyn Any>>);

impl Memo {
    /// What is there of this kind, made when there is nothing or something else.
    pub fn of<T: Any + Default>(&mut self) -> &mut T {
        if !self.0.as_ref().is_some_and(|memo| memo.is::<T>()) {
            self.0 = None;
        }
        let memo = self.0.get_or_insert_with(|| Box::new(T::default()));
        memo.downcast_mut().expect("it was just made of this kind")
    }
}

impl std::fmt::Debug for Memo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memo")
    }
}
