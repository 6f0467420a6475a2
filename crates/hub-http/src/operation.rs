//! The one definition of an operation: its fields as data, its setters, and the three ways to run it.

use std::marker::PhantomData;

use hub_types::{Argument, ValidationError};
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::{Map, Value};

/// Defines an operation: a method that begins it, its fields as serde data, a setter for each option, and `.await`,
/// `.wait()` (feature `blocking`) and `.spawn()`.
///
/// ```
/// use hub_http::{Error, Result, operation};
///
/// #[derive(Clone, Debug)]
/// pub struct Greeter {
///     word: &'static str,
/// }
///
/// operation! {
///     impl Greeter, Error;
///
///     /// Greets someone.
///     pub fn greet(
///         /// Who is greeted.
///         name: String,
///     ) -> Greet(GreetArgs) => String {
///         /// How many exclamation marks there are. By default none.
///         marks: usize,
///     }
/// }
///
/// impl GreetArgs {
///     async fn run(self, greeter: Greeter) -> Result<String> {
///         let marks = "!".repeat(self.marks.unwrap_or(0));
///         Ok(format!("{}, {}{marks}", greeter.word, self.name))
///     }
/// }
///
/// # async fn example() -> Result<()> {
/// let greeter = Greeter { word: "Hello" };
/// assert_eq!(greeter.greet("Ada").marks(2).await?, "Hello, Ada!!");
/// # Ok(()) }
/// # futures_util::FutureExt::now_or_never(example()).unwrap().unwrap();
/// ```
///
/// The arguments' names are the Python client's, so that a recorded call can be replayed as it stands
/// ([`Operation::from_args`](crate::Operation)). An argument is anything that is an
/// [`Argument`](hub_types::Argument) of its type. A bad one is kept and reported when the operation runs, so that a
/// chain of calls never breaks in the middle.
///
/// A listing has `=> stream Item` instead of `=> Output`: it gives [`Items`](crate::Items), which asks for a page when
/// its first item is wanted.
///
/// Where the Python client's name is no Rust name, it stands behind the Rust one: `card_data as "cardData": bool`.
///
/// What the Python client lets be left out, though the call is about it, has a `=` in place of the colon (`watched = T`):
/// in data, `T::default()` stands for it.
///
/// What cannot be data (a progress receiver) comes in a last block, `skip { … }`, and is left out of the serde form.
#[macro_export]
macro_rules! operation {
    (
        impl $ctx:ident, $error:ty;
        $(#[$meta:meta])*
        pub fn $name:ident ( $($required:tt)* ) -> $op:ident ( $args:ident ) => stream $item:ty { $($optional:tt)* }
        $(skip { $($skipped:tt)* })?
    ) => {
        $crate::__operation! {
            [$ctx, $error] [$(#[$meta])*] $name $op $args [$crate::Items<$item>]
            ($($required)*) ($($optional)*) ($($($skipped)*)?)
        }

        #[cfg(feature = "blocking")]
        impl $op {
            /// Runs it and blocks: gives an iterator that asks for a page when its first item is wanted.
            ///
            /// Safe inside an async runtime too, where it blocks the calling thread.
            ///
            /// # Errors
            ///
            /// As for `.await`.
            pub fn wait(self) -> ::std::result::Result<$crate::BlockingItems<$item>, $error> {
                ::std::result::Result::Ok($crate::__wait(::std::future::IntoFuture::into_future(self))?.into_blocking())
            }
        }
    };
    (
        impl $ctx:ident, $error:ty;
        $(#[$meta:meta])*
        pub fn $name:ident ( $($required:tt)* ) -> $op:ident ( $args:ident ) => $output:ty { $($optional:tt)* }
        $(skip { $($skipped:tt)* })?
    ) => {
        $crate::__operation! {
            [$ctx, $error] [$(#[$meta])*] $name $op $args [$output]
            ($($required)*) ($($optional)*) ($($($skipped)*)?)
        }

        #[cfg(feature = "blocking")]
        impl $op {
            /// Runs it and blocks until it is through.
            ///
            /// Safe inside an async runtime too, where it blocks the calling thread.
            ///
            /// # Errors
            ///
            /// As for `.await`.
            pub fn wait(self) -> ::std::result::Result<$output, $error> {
                $crate::__wait(::std::future::IntoFuture::into_future(self))
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __operation {
    (@wire $name:ident) => { stringify!($name) };
    (@wire $name:ident $wire:literal) => { $wire };
    (@data : $data:ident $name:ident) => { $data.required(stringify!($name))? };
    (@data = $data:ident $name:ident) => { $data.optional(stringify!($name))?.unwrap_or_default() };
    (
        [$ctx:ident, $error:ty] [$(#[$meta:meta])*] $name:ident $op:ident $args:ident [$output:ty]
        ($($(#[$rmeta:meta])* $required:ident $kind:tt $rtype:ty),* $(,)?)
        ($($(#[$ometa:meta])* $optional:ident $(as $wire:literal)? : $otype:ty),* $(,)?)
        ($($(#[$smeta:meta])* $skipped:ident : $stype:ty),* $(,)?)
    ) => {
        #[doc = concat!("The arguments of [`", stringify!($ctx), "::", stringify!($name), "`], by the Python client's names.")]
        #[derive(Debug, Clone)]
        pub struct $args {
            $($(#[$rmeta])* pub $required: $rtype,)*
            $($(#[$ometa])* pub $optional: ::std::option::Option<$otype>,)*
            $($(#[$smeta])* pub $skipped: $stype,)*
        }

        impl<'de> ::serde::Deserialize<'de> for $args {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> ::std::result::Result<Self, D::Error> {
                let data = &mut $crate::__Data::read(deserializer)?;
                let args = Self {
                    $($required: $crate::__operation!(@data $kind data $required),)*
                    $($optional: data.optional($crate::__operation!(@wire $optional $($wire)?))?,)*
                    $($skipped: ::std::default::Default::default(),)*
                };
                data.end()?;
                ::std::result::Result::Ok(args)
            }
        }

        #[doc = concat!("What [`", stringify!($ctx), "::", stringify!($name), "`] begins.")]
        #[derive(Debug)]
        #[must_use = "an operation does nothing until it is awaited, waited for or spawned"]
        pub struct $op {
            ctx: $ctx,
            args: ::std::result::Result<$args, $error>,
        }

        impl $ctx {
            $(#[$meta])*
            #[allow(clippy::too_many_arguments, reason = "what a call is about comes in the call")]
            pub fn $name(&self $(, $required: impl ::hub_types::Argument<$rtype>)*) -> $op {
                let args = || -> ::std::result::Result<$args, ::hub_types::ValidationError> {
                    ::std::result::Result::Ok($args {
                        $($required: $crate::__required(stringify!($required), $required)?,)*
                        $($optional: ::std::option::Option::None,)*
                        $($skipped: ::std::default::Default::default(),)*
                    })
                };
                $op { ctx: self.clone(), args: args().map_err(<$error>::from) }
            }
        }

        impl $op {
            /// The operation from its arguments as data.
            pub fn from_args(ctx: &$ctx, args: $args) -> Self {
                Self { ctx: ctx.clone(), args: ::std::result::Result::Ok(args) }
            }

            $(
                $(#[$ometa])*
                #[allow(clippy::should_implement_trait, reason = "an argument may have an operator's name: add, not")]
                pub fn $optional(mut self, $optional: impl ::hub_types::Argument<$otype>) -> Self {
                    let value = ::hub_types::Argument::into_argument($optional);
                    $crate::__set(&mut self.args, value, |args| &mut args.$optional);
                    self
                }
            )*

            $(
                $(#[$smeta])*
                pub fn $skipped(mut self, $skipped: impl ::hub_types::Argument<$stype>) -> Self {
                    if let ::std::result::Result::Ok(args) = &mut self.args {
                        match ::hub_types::Argument::into_argument($skipped) {
                            ::std::result::Result::Ok(value) => args.$skipped = value.unwrap_or_default(),
                            ::std::result::Result::Err(err) => self.args = ::std::result::Result::Err(err.into()),
                        }
                    }
                    self
                }
            )*

            /// Runs it in the background.
            pub fn spawn(self) -> $crate::Job<$output, $error> {
                let mut this = self;
                let watched = match &mut this.args {
                    ::std::result::Result::Ok(_args) => $crate::__Watched::of(&mut [$(&mut _args.$skipped),*]),
                    ::std::result::Result::Err(_) => ::std::default::Default::default(),
                };
                $crate::Job::__start(::std::future::IntoFuture::into_future(this), watched)
            }
        }

        impl ::std::future::IntoFuture for $op {
            type Output = ::std::result::Result<$output, $error>;
            type IntoFuture = $crate::BoxFuture<Self::Output>;

            fn into_future(self) -> Self::IntoFuture {
                match self.args {
                    ::std::result::Result::Ok(args) => ::std::boxed::Box::pin(args.run(self.ctx)),
                    ::std::result::Result::Err(err) => {
                        ::std::boxed::Box::pin(::std::future::ready(::std::result::Result::Err(err)))
                    }
                }
            }
        }

        impl $crate::Operation for $op {
            type Context = $ctx;
            type Output = $output;
            type Error = $error;
            const NAME: &'static str = stringify!($name);

            fn from_data<'de, D>(ctx: &$ctx, args: D) -> ::std::result::Result<Self, D::Error>
            where
                D: ::serde::Deserializer<'de>,
            {
                ::std::result::Result::Ok(Self::from_args(ctx, ::serde::Deserialize::deserialize(args)?))
            }
        }
    };
}

/// Arguments as data, by name. All of it is taken out: what is left over is unknown.
///
/// The arguments' structs derive nothing of this, which would be most of this crate's code: they ask here for one member
/// after the other.
#[doc(hidden)]
#[derive(Debug)]
pub struct __Data<E> {
    members: Map<String, Value>,
    error: PhantomData<fn() -> E>,
}

impl<E: serde::de::Error> __Data<E> {
    pub fn read<'de, D: Deserializer<'de, Error = E>>(deserializer: D) -> Result<Self, E> {
        Ok(Self {
            members: Map::deserialize(deserializer)?,
            error: PhantomData,
        })
    }

    pub fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, E> {
        let value = self.members.remove(name);
        let value = value.ok_or_else(|| E::custom(format_args!("missing field `{name}`")))?;
        Self::value(name, value)
    }

    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, E> {
        match self.members.remove(name) {
            Some(value) => Self::value(name, value),
            None => Ok(None),
        }
    }

    pub fn end(&self) -> Result<(), E> {
        match self.members.keys().next() {
            Some(name) => Err(E::custom(format_args!("unknown field `{name}`"))),
            None => Ok(()),
        }
    }

    fn value<T: DeserializeOwned>(name: &str, value: Value) -> Result<T, E> {
        serde_json::from_value(value).map_err(|err| E::custom(format_args!("{name}: {err}")))
    }
}

/// What a call is about, or why it cannot be that.
#[doc(hidden)]
pub fn __required<T>(name: &'static str, value: impl Argument<T>) -> Result<T, ValidationError> {
    match value.into_argument() {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(ValidationError::new("argument", name, "is required")),
        Err(err) => Err(err),
    }
}

/// Sets an option. The first error stays.
#[doc(hidden)]
pub fn __set<A, T, E: From<ValidationError>>(
    args: &mut Result<A, E>,
    value: Result<Option<T>, ValidationError>,
    option: impl FnOnce(&mut A) -> &mut Option<T>,
) {
    if let Ok(given) = args {
        match value {
            Ok(value) => *option(given) = value,
            Err(err) => *args = Err(err.into()),
        }
    }
}

/// A boxed future: what an operation becomes when it is awaited.
///
/// Boxed on purpose: unboxed, the futures of large operations take tens of kilobytes and make the compiler of a program
/// that nests them give up.
pub type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// What every operation is: a value that can be made of recorded arguments and run.
pub trait Operation: IntoFuture<Output = Result<<Self as Operation>::Output, Self::Error>> + Sized + Send {
    /// What it runs on: a client, or a cache.
    type Context;
    /// What it gives.
    type Output;
    /// How it fails.
    type Error;
    /// Its name, the Python client's.
    const NAME: &'static str;

    /// The operation from its arguments as data, by the Python client's names: a [`serde_json::Value`], say.
    ///
    /// Generic on purpose: what is not read from data is not compiled.
    ///
    /// # Errors
    ///
    /// When an argument is unknown, missing or of another type.
    fn from_data<'de, D: serde::Deserializer<'de>>(ctx: &Self::Context, args: D) -> Result<Self, D::Error>;
}
