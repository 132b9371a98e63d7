//! What is about users, printed.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use axum::{body::Body, extract::FromRequestParts as _};
use cloakroom_core::{
    Binding, Codec, Entry, Excess, Handle, JsonCodec, Login, Members, Mismatch, Outcome, Principal, RequestInfo,
    RosterError, RosterStep, TrustedProxies, Which,
    forwarded::{AddressError, ForwardedHeader, Network},
};
use cloakroom_store::{Finish, Flash, Session as StoreSession, StoreFailure};
use cloakroom_tower::{
    ClientAddr, CsrfLayer, LoginRejection, MissingLayer, PeerAddr, RequireLogin, ReturnTo, Session, SessionLayer,
};
use http::{Request, Response};
use tower::{Layer as _, Service as _, service_fn};

use crate::{
    printed::{Printer, add_ticket},
    web::{SECRET, Site},
    world::{World, ticket},
};

type User = cloakroom_tower::Principal<String>;

/// The user's id, the label and the names of what is carried over are the secret.
pub(crate) fn states(printer: &mut Printer) {
    let login = || Login::new().carry(SECRET).label(SECRET).at_most(3, Excess::EndOldest);
    printer.debug(&login());
    printer.debug(&Excess::Refuse);
    for mismatch in [Mismatch::Refuse, Mismatch::RefuseAndDestroy] {
        printer.debug(&mismatch);
        printer.debug(&Binding::new().on_mismatch(mismatch));
    }
    let mut world = World::with(|builder| builder.bind_to(Binding::new()));
    let done = world.request("", |loaded| {
        loaded.login(SECRET, login()).unwrap();
        printer.debug(loaded);
    });
    let jar = ticket(&done).unwrap();
    let key = world.key(&jar);
    add_ticket(&mut printer.forms, &jar, &key);
    printer.debug(&done);
    let sign_in = world.peek(&jar, |loaded| loaded.sign_in().cloned()).unwrap();
    printer.debug(&sign_in);
    printer.debug(&sign_in.principal);
    printer.debug(sign_in.label.as_ref().unwrap());
    let stored = world.store.look(&key, world.now).unwrap();
    let Entry::Record(record) = JsonCodec.decode(&key, &stored.value).unwrap() else { panic!("no record") };
    printer.debug(&record);
    printer.debug(&record.binding.unwrap());
    let members = Members { keys: vec![key], total: 1 };
    printer.debug(&members);
    printer.debug(&Outcome::Listed(members));

    let user = Principal::of(SECRET).unwrap();
    let mut step = world.engine.list_sessions(user, None);
    let listed = loop {
        printer.debug(&step);
        match step {
            RosterStep::Done(result) => break result.unwrap(),
            RosterStep::Io(io) => {
                printer.debug(&io);
                let (outcome, now) = (world.store.perform(io.op(), world.now), world.now());
                step = io.resume(outcome, now);
            }
        }
    };
    printer.debug(&listed[0]);
    for which in [Which::All, Which::One(listed[0].handle), Which::Others] {
        printer.debug(&which);
    }
    for error in [RosterError::Contention, RosterError::NoIndex, RosterError::Store, RosterError::UnknownHandle] {
        printer.error(&error);
    }
    printer.error(&SECRET.parse::<Handle>().unwrap_err());
    for header in [ForwardedHeader::Forwarded, ForwardedHeader::XForwardedFor] {
        printer.debug(&header);
        let network: Network = "192.0.2.0/24".parse().unwrap();
        printer.debug(&network);
        printer.debug(&TrustedProxies::by_networks(header, [network]));
    }
    printer.error(&"192.0.2.1/24".parse::<Network>().unwrap_err());
    printer.error(&AddressError::Hidden);
}

pub(crate) async fn layers(printer: &mut Printer) {
    let site = Site::new();
    printer.debug(&site.sessions.of_user(SECRET).unwrap());
    printer.debug(&Flash { level: "info".to_owned(), text: "saved".to_owned() });
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    printer.debug(&PeerAddr(address));
    printer.debug(&ClientAddr(Ok(address)));
    printer.debug(&ReturnTo::parse("/a").unwrap());
    printer.debug(&CsrfLayer::new().origin("https://a.example"));
    printer.debug(&RequireLogin::new());
    printer.debug(&LoginRejection::MissingLayer(MissingLayer));
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    printer.debug(&CsrfLayer::new().layer(()));
    printer.debug(&RequireLogin::new().layer(()));
    let session = site.sessions.open([], &RequestInfo::new(), StoreFailure::Refuse);
    session.login(SECRET, Login::new().label(SECRET)).await.unwrap();
    let report = StoreSession::commit(&session, Finish::Keep).await;
    let line = report.headers().find(|(name, _)| *name == "set-cookie").unwrap().1;
    let jar = line.split(';').next().unwrap().to_owned();
    let at = site.store.keys().pop().unwrap();
    add_ticket(&mut printer.forms, &jar, &at);
    // What a handler gets.
    let mut service = SessionLayer::new(site.sessions.clone()).login_page("/login").layer(inner);
    let request = Request::get("/").header("cookie", &jar).body(Body::empty()).unwrap();
    let _ = service.call(request).await.unwrap();
    let seen = Arc::new(Mutex::new(None));
    let put = Arc::clone(&seen);
    let inner = service_fn(move |request: Request<Body>| {
        let put = Arc::clone(&put);
        async move {
            let session: Session = Session::find(request.extensions()).unwrap();
            *put.lock().unwrap() = User::of(&session).await.unwrap();
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }
    });
    let mut service = SessionLayer::new(site.sessions.clone()).layer(inner);
    let request = Request::get("/").header("cookie", &jar).body(Body::empty()).unwrap();
    let _ = service.call(request).await.unwrap();
    let user = seen.lock().unwrap().take().unwrap();
    printer.debug(&user);
    // What is told to who is not signed in.
    let seen = Arc::new(Mutex::new(None));
    let put = Arc::clone(&seen);
    let inner = service_fn(move |request: Request<Body>| {
        let put = Arc::clone(&put);
        async move {
            let (mut parts, _) = request.into_parts();
            *put.lock().unwrap() = User::from_request_parts(&mut parts, &()).await.err();
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }
    });
    let mut service = SessionLayer::new(site.sessions.clone()).login_page("/login").layer(inner);
    let _ = service.call(Request::get("/a").body(Body::empty()).unwrap()).await.unwrap();
    let rejected = seen.lock().unwrap().take().unwrap();
    printer.debug(&rejected);
    let LoginRejection::NotSignedIn(first) = rejected else { panic!("somebody is signed in") };
    printer.debug(&first);
}
