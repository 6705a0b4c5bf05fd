//! The task that owns the connection.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use keyward_protocol::{
    client::{self, ClientError, Connection, JoinError, ManageError},
    message::{manage::Request, watch::Subscribe},
    time::Moment,
};
use tokio::{
    net::lookup_host,
    sync::{Semaphore, mpsc},
    task::{AbortHandle, JoinSet},
    time::sleep,
};

use super::{Failure, LinkTold, Order, Scrub, Told, WatchId, backoff, changes, leaves_a_trace, outcome};
use crate::{app::token::Fresh, servers::Known};

/// How long connecting, and each answer, may take.
const DEADLINE: Duration = Duration::from_secs(15);
/// How often the round trip is told.
const ROUND_TRIP_EVERY: Duration = Duration::from_secs(2);
/// A server that is there is heard so often, however long it takes for an answer.
const HEAR_EVERY: Duration = Duration::from_secs(1);
/// A server of which nothing is heard for so long is given up. One that was killed says nothing, and QUIC would wait 30 s
/// for it. Several packets in a row may be lost on the way.
const SILENCE_MAX: Duration = Duration::from_secs(6);
/// How often it is looked at whether the certificate should be renewed: hours before it runs out.
const RENEWAL_LOOKED_AT_EVERY: Duration = Duration::from_secs(60);
/// So many requests are in flight at a time; a server allows 64 streams, and live views need some.
const IN_FLIGHT_MAX: usize = 32;
/// A live view that ended while the connection stands is opened again after this time.
const WATCH_AGAIN: Duration = Duration::from_secs(2);

/// Why a connection is no longer served.
enum Ended {
    /// The screen is gone.
    Screen,
    /// The screen wants another connection.
    Reconnect,
    /// It was lost.
    Lost(String),
}

/// What a wait without a connection came to.
enum Waited<T> {
    Done(T),
    /// The screen doesn't want to wait any longer.
    Hurried,
    /// The screen is gone.
    Gone,
}

/// Serves the screen until it is gone.
pub async fn run(
    mut server: Known,
    mut orders: mpsc::Receiver<Order>,
    told: mpsc::Sender<Told>,
    read_only: Arc<AtomicBool>,
) {
    let mut owner = Owner { told, watches: BTreeMap::new(), read_only };
    let mut failures = 0;
    while owner.tell(LinkTold::Connecting).await {
        let why = match owner.meanwhile(&mut orders, connect(&mut server)).await {
            Waited::Gone => return,
            Waited::Hurried => continue,
            Waited::Done(Err(error)) => error,
            Waited::Done(Ok(connection)) => {
                failures = 0;
                match owner.serve(&connection, &mut server, &mut orders).await {
                    Ended::Screen => return connection.close(),
                    Ended::Reconnect => continue,
                    Ended::Lost(why) => why,
                }
            }
        };
        failures += 1;
        let wait = backoff::wait(failures, rand::random());
        let waits = owner.tell(LinkTold::Down(why, wait)).await;
        if !waits || matches!(owner.meanwhile(&mut orders, sleep(wait)).await, Waited::Gone) {
            return;
        }
    }
}

struct Owner {
    told: mpsc::Sender<Told>,
    /// What is watched, over every connection.
    watches: BTreeMap<WatchId, Subscribe>,
    /// No change goes out.
    read_only: Arc<AtomicBool>,
}

impl Owner {
    /// Whether the screen is there to hear it.
    async fn tell(&self, link: LinkTold) -> bool {
        self.told.send(Told::Link(link)).await.is_ok()
    }

    /// Waits for `work` while there is no connection.
    async fn meanwhile<T>(&mut self, orders: &mut mpsc::Receiver<Order>, work: impl Future<Output = T>) -> Waited<T> {
        let mut work = pin!(work);
        loop {
            let order = tokio::select! {
                done = &mut work => return Waited::Done(done),
                order = orders.recv() => order,
            };
            match order {
                None => return Waited::Gone,
                Some(Order::Reconnect) => return Waited::Hurried,
                Some(Order::Watch(watch, subscribe)) => _ = self.watches.insert(watch, subscribe),
                Some(Order::Unwatch(watch)) => _ = self.watches.remove(&watch),
                Some(Order::NewToken) => {
                    let none = Told::NewToken(Err("there is no connection".to_owned()));
                    if self.told.send(none).await.is_err() {
                        return Waited::Gone;
                    }
                }
                Some(Order::Ask(ticket, _)) => {
                    let failed = Told::Answer(ticket, Box::new(Err(Failure::NotConnected)));
                    if self.told.send(failed).await.is_err() {
                        return Waited::Gone;
                    }
                }
            }
        }
    }

    async fn serve(
        &mut self,
        connection: &Connection,
        server: &mut Known,
        orders: &mut mpsc::Receiver<Order>,
    ) -> Ended {
        let mut tasks = JoinSet::new();
        let mut watching: BTreeMap<WatchId, AbortHandle> = BTreeMap::new();
        let room = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        let mut round_trip = tokio::time::interval(ROUND_TRIP_EVERY);
        let mut renewal = tokio::time::interval(RENEWAL_LOOKED_AT_EVERY);
        for (watch, subscribe) in &self.watches {
            watching.insert(
                *watch,
                tasks.spawn(keep_watching(connection.clone(), *watch, subscribe.clone(), self.told.clone())),
            );
        }
        let mut silent = pin!(connection.until_silent(SILENCE_MAX));
        let ended = loop {
            let order = tokio::select! {
                order = orders.recv() => order,
                error = connection.until_closed() => break Ended::Lost(error.to_string()),
                () = &mut silent => {
                    break Ended::Lost(format!("nothing was heard of the server for {} s", SILENCE_MAX.as_secs()));
                }
                _ = round_trip.tick() => {
                    let up = Told::Link(LinkTold::Up(connection.round_trip()));
                    match self.told.send(up).await {
                        Ok(()) => continue,
                        Err(_) => break Ended::Screen,
                    }
                }
                Some(_) = tasks.join_next() => continue,
                // The connection goes on with the certificate that it began with; the next one is there when it ends.
                _ = renewal.tick() => {
                    if is_due(server) {
                        _ = renew(server).await;
                    }
                    continue;
                }
            };
            match order {
                None => break Ended::Screen,
                Some(Order::Reconnect) => break Ended::Reconnect,
                Some(Order::Ask(ticket, request)) => {
                    let (connection, told, room) = (connection.clone(), self.told.clone(), Arc::clone(&room));
                    let read_only = Arc::clone(&self.read_only);
                    tasks.spawn(async move {
                        let _room = room.acquire().await;
                        // Asked last of all: what waited for room is held back, too.
                        let answer = match leaves_a_trace(&request) && read_only.load(Ordering::SeqCst) {
                            true => Err(Failure::ReadOnly),
                            false => outcome(changes(&request), connection.ask_for(&request).await),
                        };
                        _ = told.send(Told::Answer(ticket, Box::new(answer))).await;
                    });
                }
                Some(Order::NewToken) => {
                    if self.told.send(Told::NewToken(new_token(server))).await.is_err() {
                        break Ended::Screen;
                    }
                }
                Some(Order::Watch(watch, subscribe)) => {
                    let task = keep_watching(connection.clone(), watch, subscribe.clone(), self.told.clone());
                    let before = watching.insert(watch, tasks.spawn(task));
                    before.inspect(AbortHandle::abort);
                    self.watches.insert(watch, subscribe);
                }
                Some(Order::Unwatch(watch)) => {
                    watching.remove(&watch).inspect(AbortHandle::abort);
                    self.watches.remove(&watch);
                }
            }
        };
        watching.values().for_each(AbortHandle::abort);
        // Requests in flight hear from the connection that it is over, and tell it: none is left without an answer.
        if !matches!(ended, Ended::Screen) {
            connection.close();
            while tasks.join_next().await.is_some() {}
        }
        ended
    }
}

/// A token that names the server's authority and where we find it ourselves.
fn new_token(server: &Known) -> Result<Fresh, String> {
    let made = client::new_token(&server.identity.ca_pem, server.addresses.first().cloned());
    made.map(|(token, hash)| Fresh { token, hash }).map_err(|error| error.to_string())
}

/// Connects to the first address that answers. A server that refuses our certificate says so only when it is asked
/// something, so it is asked something.
async fn connect(server: &mut Known) -> Result<Connection, String> {
    if is_due(server)
        && let Err(JoinError::Refused { mut why, later: false }) = renew(server).await
    {
        why.scrub();
        return Err(why);
    }
    let server = &*server;
    let mut last = String::from("no address is known");
    for address in &server.addresses {
        let found = match lookup_host(address).await {
            Ok(found) => found,
            Err(error) => {
                last = format!("`{address}` is not found: {error}");
                continue;
            }
        };
        for socket in found {
            match greet(socket, server).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = format!("{address}: {error}"),
            }
        }
    }
    last.scrub();
    Err(last)
}

/// Whether a further certificate should be asked for.
fn is_due(server: &Known) -> bool {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Moment::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX));
    server.kept.as_ref().is_some_and(|kept| kept.renew_at <= now)
}

/// Asks for a further certificate where the server answers first, and keeps it.
async fn renew(server: &mut Known) -> Result<(), JoinError> {
    let mut last = JoinError::Client(ClientError::Unreachable("no address is known".to_owned()));
    for address in &server.addresses {
        for socket in lookup_host(address).await.into_iter().flatten() {
            match client::renew(socket, &server.identity, DEADLINE).await {
                Ok(joined) => {
                    if let Some(kept) = &mut server.kept {
                        // Should the disk refuse, this run goes on with it all the same, and the next one asks again.
                        _ = kept.renewed(&joined);
                    }
                    server.identity = joined.identity;
                    return Ok(());
                }
                Err(error @ JoinError::Refused { .. }) => return Err(error),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

async fn greet(socket: std::net::SocketAddr, server: &Known) -> Result<Connection, ClientError> {
    let connection = Connection::connect_hearing(socket, &server.identity, DEADLINE, HEAR_EVERY).await?;
    match connection.ask_for(&Request::Overview).await {
        Err(ManageError::Connection(error)) => Err(error),
        _ => Ok(connection),
    }
}

/// Watches as long as the connection stands.
async fn keep_watching(connection: Connection, watch: WatchId, subscribe: Subscribe, told: mpsc::Sender<Told>) {
    loop {
        if let Ok(mut view) = connection.watch_log(&subscribe).await {
            while let Ok(Some(mut batch)) = view.next().await {
                batch.scrub();
                if told.send(Told::Live(watch, Box::new(batch))).await.is_err() {
                    return;
                }
            }
        }
        if connection.closed().is_some() {
            return;
        }
        sleep(WATCH_AGAIN).await;
    }
}
