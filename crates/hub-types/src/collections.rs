//! Models of the `collections` area: lists of repositories and papers that somebody keeps.

use crate::Timestamp;
use crate::discussions::Author;
use crate::model::{open_enum, reply};

open_enum! {
    /// What an item of a collection is.
    CollectionItemType {
        /// A model.
        Model = "model",
        /// A dataset.
        Dataset = "dataset",
        /// A Space.
        Space = "space",
        /// A paper.
        Paper = "paper",
        /// Another collection.
        Collection = "collection",
        /// A bucket.
        Bucket = "bucket",
    }

    /// How collections are sorted; always the largest or newest first.
    CollectionSort {
        /// Changed last.
        LastModified = "lastModified",
        /// Most visited now.
        Trending = "trending",
        /// Most upvoted.
        Upvotes = "upvotes",
    }
}

reply! {
    /// A note of an item.
    ItemNote {
        /// As text.
        text = String,
        /// As HTML.
        html?: String,
    }

    /// An item of a collection.
    CollectionItem {
        /// The id of the item in the collection: what changing and deleting it take.
        item_object_id as "_id" : String,
        /// The id of what it is: of a repository or a paper.
        id: String,
        /// The slug, where it is itself a collection.
        slug?: String,
        /// What it is.
        item_type as "type" | "repoType" : CollectionItemType,
        /// Its place in the list.
        position = i64,
        /// What its collector says of it.
        note?: ItemNote,
        ..
    }

    /// A collection. In a listing it holds its first four items only.
    Collection {
        /// Namespace, words of the title, and id: `acme/tiny-models-65f0…`. Renaming changes the words.
        slug: String,
        /// Its title.
        title: String,
        /// Whose it is.
        owner?: Author,
        /// Its items.
        items = Vec<CollectionItem>,
        /// When it was last changed.
        last_updated?: Timestamp,
        /// Its place among its owner's; not given in listings.
        position?: i64,
        /// Whether it is private.
        private = bool,
        /// Its colour.
        theme?: String,
        /// How many upvoted it.
        upvotes = u64,
        /// What it is about, 150 characters at the most.
        description?: String,
        ..
    }
}

impl CollectionItem {
    /// The id to show and to add it elsewhere by: a collection's slug, else its id.
    pub fn item_id(&self) -> &str {
        self.slug.as_deref().unwrap_or(&self.id)
    }
}
