//! Which prompts a running service uses: taken over from the database at a reload
//! and when the operator loads one or goes back. What lies beside them is in
//! `app/prompt_shelf.rs`, what may be loaded in `app/prompt_desk.rs`.

use std::sync::Arc;

use anyhow::Context;

use super::App;
use super::prompt_desk::{self, Back, NewPrompt, PromptRefusal};
use super::prompt_listings::{self, PromptsListing};
use super::prompt_shelf::Shelf;
use crate::clock::TimestampMs;
use crate::store::{PromptChange, Store, StoreError};

impl App {
    /// Takes over which prompts are in use now; what runs goes on with its own.
    pub(super) async fn read_prompts(&self) -> anyhow::Result<()> {
        let mut shelf = Shelf::read(&self.home, Some(self.store.reader()))?;
        settle(&mut shelf, &self.store, self.clock.now()).await?;
        let before = self.shelf.load_full();
        for candidate in shelf.candidates.iter().filter(|one| !before.candidates.contains(one)) {
            tracing::warn!("{}", candidate.line(&self.home));
        }
        self.questions.prompts.store(Arc::new(shelf.library.clone()));
        self.shelf.store(Arc::new(shelf));
        Ok(())
    }

    /// Puts a prompt in use: the next question is asked with it. Recipes are
    /// still to be held against it ([`App::reload`]).
    ///
    /// # Errors
    /// Why the version in use stays.
    pub async fn load_prompt(&self, new: NewPrompt) -> Result<PromptChange, PromptRefusal> {
        let change = prompt_desk::load(&self.store, new, self.clock.now()).await?;
        self.take_over(&change).await;
        Ok(change)
    }

    /// Puts an earlier version of a prompt in use again, as [`App::load_prompt`].
    ///
    /// # Errors
    /// Why the version in use stays.
    pub async fn roll_prompt_back(&self, back: Back) -> Result<PromptChange, PromptRefusal> {
        let change = prompt_desk::roll_back(&self.store, back, self.clock.now()).await?;
        self.take_over(&change).await;
        Ok(change)
    }

    async fn take_over(&self, change: &PromptChange) {
        tracing::info!(prompt = change.name, version = change.hash, "prompt in use");
        if let Err(error) = self.read_prompts().await {
            tracing::error!(error = format!("{error:#}"), "cannot read prompts");
        }
    }

    /// All prompts, as they can be read from outside.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn prompts(&self) -> Result<PromptsListing, StoreError> {
        prompt_listings::all(&self.home, self.store.reader(), &self.shelf.load().candidates)
    }
}

/// Shipped prompts that are new to the database are in use from now on.
pub(super) async fn settle(
    shelf: &mut Shelf,
    store: &Store,
    now: TimestampMs,
) -> anyhow::Result<()> {
    for (name, hash) in shelf.settle(store, now).await.context("cannot keep the shipped prompts")? {
        tracing::info!(prompt = name, version = hash, "the shipped prompt is in use");
    }
    Ok(())
}
