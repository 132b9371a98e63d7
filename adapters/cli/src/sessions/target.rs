//! The store that a command is about.

use std::{io, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use cloakroom_core::{
    Codec, DecodeError, EncodeError, Engine, EngineBuilder, Entry, HashedKeys, JsonCodec, KeyId, KeyScheme as _,
    Keyring, Lifetime, Principal, SealedCodec, StoreKey, Value,
};
use cloakroom_runtime::Runtime;
use cloakroom_store::{KeyringExt as _, Sessions};
use cloakroom_tokio::Tokio;

use crate::{
    keys::KeySource,
    open_store::{Advice, OpenStore},
    store_url::{StoreOption, StoreUrl},
};

/// What every command asks for.
#[derive(Args, Debug)]
pub(super) struct StoreArgs {
    /// The store: `redb:PATH`, or a Redis: redis://.., rediss://.., redis+unix://.., redis+sentinel://.. or redis+cluster://..
    ///
    /// `list` and `revoke` take a session service, too, which lists no keys: http://.. or https://.., its token in CLOAKROOM_HTTP_TOKEN.
    ///
    /// A file must not be open in a server meanwhile. Others can see the command lines of your processes: where a URL has a
    /// password, `env:NAME` names a variable that has the URL.
    #[arg(long, value_name = "URL|env:NAME")]
    store: StoreOption,
    /// What the application's Redis settings put before every key (`RedisConfig::key_prefix`); by default nothing.
    #[arg(long, value_name = "PREFIX")]
    server_prefix: Option<String>,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// The prefix of the engine's keys.
#[derive(Args, Debug)]
pub(super) struct PrefixArgs {
    /// What store keys begin with (`EngineBuilder::key_prefix`).
    #[arg(long, value_name = "PREFIX", default_value = HashedKeys::PREFIX)]
    pub(super) prefix: String,
}

/// The application's engine.
#[derive(Args, Debug)]
pub(super) struct EngineArgs {
    /// The name of the application's engine (`EngineBuilder::name`).
    #[arg(long, value_name = "NAME", default_value = EngineBuilder::NAME)]
    engine: String,
    #[command(flatten)]
    pub(super) prefix: PrefixArgs,
    /// The ring that the application's records are sealed with (`SealedCodec`): a file, or env:NAME.
    ///
    /// No key is needed for records that are not sealed.
    #[arg(long, value_name = "FILE|env:NAME")]
    keys: Option<KeySource>,
}

impl EngineArgs {
    /// Returns what reads the application's records.
    pub(super) fn codec(&self) -> anyhow::Result<ToolCodec> {
        let sealed = |keys: &KeySource| keys.read().map(|ring| SealedCodec::new(&ring, &self.engine));
        self.keys.as_ref().map(sealed).transpose().map(ToolCodec)
    }

    /// Returns the key of the index of a user.
    pub(super) fn index_key(&self, user: &Principal) -> anyhow::Result<StoreKey> {
        Ok(HashedKeys::new(&self.engine, &self.prefix.prefix)?.index_key(user))
    }
}

/// Reads records that are sealed, or those that are not.
#[derive(Debug)]
pub(super) struct ToolCodec(Option<SealedCodec>);

impl Codec for ToolCodec {
    fn encode(&self, key: &StoreKey, entry: &Entry) -> Result<Vec<u8>, EncodeError> {
        match &self.0 {
            None => JsonCodec.encode(key, entry),
            Some(sealed) => sealed.encode(key, entry),
        }
    }

    fn decode(&self, key: &StoreKey, value: &Value) -> Result<Entry, DecodeError> {
        match &self.0 {
            // It may be a sealed pointer: if that were ended, what it leads to would live on.
            None if value.as_bytes().first() != Some(&b'{') => Err(DecodeError::NotAuthentic),
            None => JsonCodec.decode(key, value),
            Some(sealed) => sealed.decode(key, value),
        }
    }
}

/// A store that is open.
pub(super) struct Target {
    pub(super) json: bool,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) store: OpenStore,
}

impl Target {
    const ADVICE: Advice = Advice { in_use: "stop that first", otherwise: "" };
    /// A command that reads leaves what has expired to the servers.
    const SWEEP_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

    pub(super) async fn open(args: &StoreArgs) -> anyhow::Result<Self> {
        let url = StoreUrl::read_as("--store", &args.store)?;
        Self::open_url(url, "--server-prefix", args.server_prefix.as_deref(), args.json, false).await
    }

    /// Opens the store of an option of this name. A file that is not there is made where it may be.
    pub(super) async fn open_named(
        option: &str,
        store: &StoreOption,
        server_prefix: Option<&str>,
        json: bool,
        makes: bool,
    ) -> anyhow::Result<Self> {
        let url = StoreUrl::read_as(option, store)?;
        Self::open_url(url, &format!("{option}-server-prefix"), server_prefix, json, makes).await
    }

    async fn open_url(
        mut url: StoreUrl,
        prefix_option: &str,
        server_prefix: Option<&str>,
        json: bool,
        makes: bool,
    ) -> anyhow::Result<Self> {
        match (&mut url, server_prefix) {
            (StoreUrl::Memory, _) => bail!("memory: lives in the process of its server, and no other can look into it"),
            (StoreUrl::Cookie(_), _) => bail!("sessions that are held in the cookie cannot be looked through"),
            (StoreUrl::Memcached { .. }, None) if makes => {}
            (StoreUrl::Memcached { .. }, _) => {
                bail!("memcached lists no keys and keeps no index, so that there is nothing to look through")
            }
            (StoreUrl::Http { .. }, None) => {}
            (StoreUrl::Http { .. } | StoreUrl::Redb(_), Some(_)) => bail!("{prefix_option}: only a Redis has one"),
            // Opening it would make it.
            (StoreUrl::Redb(path), None) => match path.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !makes => {
                    bail!("there is no {}", path.display())
                }
                _ => {}
            },
            (StoreUrl::Redis { config, .. }, prefix) => {
                let settings = (**config).clone().check_server(false);
                **config = settings.key_prefix(prefix.unwrap_or_default()).with_context(|| prefix_option.to_owned())?;
            }
        }
        let runtime: Arc<dyn Runtime> = Arc::new(Tokio);
        let store = OpenStore::open(url, &runtime, Self::SWEEP_EVERY, &Self::ADVICE).await?;
        Ok(Self { json, runtime, store })
    }

    /// Joins it to an engine like the application's. It signs nothing, and bounds no lifetime by the defaults: those of the
    /// sessions are in their records.
    pub(super) fn sessions(&self, args: &EngineArgs) -> anyhow::Result<Sessions> {
        const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        /// What an end leaves behind outlasts the requests of applications that give them more than the default.
        const MAX_REQUEST: Duration = Duration::from_secs(60 * 60);
        let engine = Engine::builder(Keyring::generate(KeyId::new(0))?)
            .name(&args.engine)
            .key_prefix(&args.prefix.prefix)
            .longest(Lifetime::new(LONGEST, LONGEST))
            .max_request(MAX_REQUEST)
            .max_record(usize::MAX)
            .codec(args.codec()?)
            .build()
            .map_err(|error| anyhow!("--engine, --prefix: {error}"))?;
        Ok(self.store.sessions(engine, &self.runtime))
    }
}
