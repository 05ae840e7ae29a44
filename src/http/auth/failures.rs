//! Failed logins, counted by the peer's address, so that guesses become slow and fill no log. It turns away failures
//! only: a token that is known is never refused for what others at its address did.

use crate::{
    clock::Clock,
    config::Rate,
    http::{error::Failure, gate},
    wire::problem::ErrorCode,
};
use actix_web::{HttpRequest, http::header::HeaderMap};
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, Reference},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};
use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Addresses that are counted each by itself. When so many failed lately, those that come then are counted as one.
const ADDRESSES_MAX: usize = 10_000;
/// How long at least between two clean-ups of the addresses, each of which looks at all of them.
const CLEANING: Duration = Duration::from_secs(1);
/// Lines of the log about one address.
const LINES: Rate = Rate { count: NonZeroU32::MIN, per: Duration::from_secs(1) };

/// The server's clock, as the limiter reads it.
#[derive(Clone, Debug)]
struct Watch(Clock);

impl governor::clock::Clock for Watch {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.now().as_millis()).unwrap_or_default())
    }
}

struct Counted {
    limiter: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, Watch, NoOpMiddleware<Duration>>,
    watch: Watch,
    /// In milliseconds of the clock.
    cleaned: AtomicU64,
}

impl Counted {
    fn new(rate: Rate, clock: Clock) -> Self {
        let every = (rate.per / rate.count.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(every).expect("more than nothing").allow_burst(rate.count);
        let watch = Watch(clock);
        let limiter = RateLimiter::hashmap_with_clock(quota, watch.clone());
        Self { limiter, watch, cleaned: AtomicU64::new(0) }
    }

    /// Counts one of this address; Err: it is one too many, and for how long.
    fn count(&self, address: IpAddr) -> Result<(), Duration> {
        let now = self.watch.now();
        let address = if self.has_place(now) { address } else { Ipv6Addr::UNSPECIFIED.into() };
        let counted = self.limiter.check_key(&address);
        counted.map_err(|not_yet| not_yet.wait_time_from(now))
    }

    fn has_place(&self, now: Duration) -> bool {
        if self.limiter.len() < ADDRESSES_MAX {
            return true;
        }
        let last = Duration::from_millis(self.cleaned.load(Ordering::Relaxed));
        if Duration::from(now.duration_since(last)) >= CLEANING {
            let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
            self.cleaned.store(millis, Ordering::Relaxed);
            self.limiter.retain_recent();
        }
        self.limiter.len() < ADDRESSES_MAX
    }
}

pub(crate) struct Failures {
    tries: Option<Counted>,
    lines: Counted,
    behind_proxy: bool,
}

impl Failures {
    /// `rate`: how many of one address are answered as such; None: all.
    pub(crate) fn new(rate: Option<Rate>, behind_proxy: bool, clock: &Clock) -> Self {
        let tries = rate.map(|rate| Counted::new(rate, clock.clone()));
        Self { tries, lines: Counted::new(LINES, clock.clone()), behind_proxy }
    }

    /// A credential was shown that is none: counts and tells it, and gives what to answer.
    pub(crate) fn note(&self, request: &HttpRequest, refused: Failure) -> Failure {
        let peer = peer(request, self.behind_proxy);
        if self.lines.count(peer).is_ok() {
            log::warn!(peer:%; "a token or a login that this server does not know was refused");
        }
        match self.tries.as_ref().map(|tries| tries.count(peer)) {
            Some(Err(wait)) => {
                let detail = "too many failed logins from this address (server.login_rate); a token that is known is still served";
                Failure::new(ErrorCode::RateLimited, detail).after(wait)
            }
            _ => refused,
        }
    }
}

/// Where the request comes from, as far as one can be told from another: of IPv6 a network, for whoever has one address
/// has a whole network of them.
fn peer(request: &HttpRequest, behind_proxy: bool) -> IpAddr {
    let forwarded = (behind_proxy && gate::is_public(request))
        .then(|| last_forwarded(request.headers()))
        .flatten();
    let direct = request.peer_addr().map(|peer| peer.ip());
    // Through a unix socket comes whoever may open it.
    match forwarded.or(direct).unwrap_or(Ipv6Addr::UNSPECIFIED.into()).to_canonical() {
        IpAddr::V6(address) => {
            let [network @ .., _, _, _, _] = address.segments();
            let [a, b, c, d] = network;
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

/// What the proxy itself added. All before it was sent by the client, who may have made it up.
fn last_forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").last()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use actix_web::test::TestRequest;

    fn counted(clock: &Clock) -> Counted {
        let rate = Rate { count: NonZeroU32::new(3).unwrap(), per: Duration::from_secs(30) };
        Counted::new(rate, clock.clone())
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn an_address_has_its_number_of_failures_and_gets_them_back_with_time() {
        let clock = Clock::manual(Timestamp::from_millis(1_000_000));
        let counted = counted(&clock);
        for _ in 0..3 {
            assert_eq!(counted.count(address(1)), Ok(()));
        }
        assert_eq!(counted.count(address(1)), Err(Duration::from_secs(10)));
        assert_eq!(counted.count(address(2)), Ok(()), "it counts for itself");
        clock.advance(Duration::from_secs(10));
        assert_eq!(counted.count(address(1)), Ok(()));
        assert_eq!(counted.count(address(1)), Err(Duration::from_secs(10)));
    }

    #[test]
    fn addresses_are_bounded_and_forgotten() {
        let clock = Clock::manual(Timestamp::from_millis(1_000_000));
        let counted = counted(&clock);
        let max = u32::try_from(ADDRESSES_MAX).unwrap();
        for number in 0..max {
            assert_eq!(counted.count(address(number)), Ok(()));
        }
        let crowd: Vec<_> = (max..max + 10).map(|number| counted.count(address(number))).collect();
        assert_eq!(crowd.iter().filter(|counted| counted.is_ok()).count(), 3, "they count as one");
        assert!(counted.limiter.len() <= ADDRESSES_MAX + 1);
        clock.advance(Duration::from_secs(60));
        assert_eq!(counted.count(address(max)), Ok(()));
        assert_eq!(counted.limiter.len(), 1);
    }

    #[test]
    fn the_peer_is_the_proxys_word_only_where_there_is_a_proxy() {
        let request = |gate: bool| {
            let request = TestRequest::default()
                .peer_addr("192.0.2.1:5".parse().unwrap())
                .append_header(("X-Forwarded-For", "198.51.100.1"))
                .append_header(("X-Forwarded-For", "198.51.100.2, 2001:db8:1:2:3::4"))
                .to_srv_request();
            if gate {
                gate::mark(&request);
            }
            request.into_parts().0
        };
        let network: IpAddr = "2001:db8:1:2::".parse().unwrap();
        let direct: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(peer(&request(true), true), network);
        assert_eq!(peer(&request(true), false), direct);
        assert_eq!(peer(&request(false), true), direct, "the admin listener has no proxy");
    }
}
