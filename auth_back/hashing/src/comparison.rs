//! Whether the fast engine gives the tags of the reference, found out at every start.

use std::thread;

use subtle::{Choice, ConstantTimeEq as _};

use crate::arena::Arena;
use crate::engine::HashEngine;
use crate::flavour::Flavour;
use crate::limits::TAG_LEN;
use crate::params::Params;
use crate::tag::{Salt, Tag};

/// Compared beside the parameters of the server: m in KiB, t, p. Odd sizes, several passes and lanes: each takes
/// another way through an engine.
const SMALL: [(u32, u32, u32); 3] = [(8, 1, 1), (67, 3, 1), (131, 2, 4)];

impl HashEngine {
    /// The fastest engine that gives the tags of the reference on this machine: with `params` and
    /// with a few smaller parameters, for each flavour that a record may have, on random passwords
    /// and salts, in a fresh arena and in one that another hash has used.
    ///
    /// With `in_twos` also two hashes together, which takes one arena more.
    ///
    /// Computes for about as long as a hash of the reference and three or four of the other engine take, or as the longer
    /// of the two where there is a second core. There are never more than two arenas meanwhile, or three. Up to `arenas`
    /// of them, as good as new, come with the answer, so that a server need not make them again.
    ///
    /// # Errors
    ///
    /// [`EngineFault`] says what differed; use [`HashEngine::Reference`] then.
    pub fn fastest_correct(
        params: Params,
        arenas: usize,
        in_twos: bool,
    ) -> Result<(Self, Vec<Arena>), EngineFault> {
        Ok((Self::Simd, compare(Self::Simd, params, arenas, in_twos)?))
    }
}

/// Why an engine is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EngineFault {
    /// It gave another tag than the reference. A defect of the engine, the compiler or the machine.
    #[error("its tags differ from those of the reference engine")]
    Differs,
    /// It, or the reference, gave none: no memory, or no random bytes.
    #[error("the engines could not be compared")]
    Failed,
}

/// Compares an engine with the reference, side by side: no server starts before it knows.
fn compare(
    engine: HashEngine,
    params: Params,
    arenas: usize,
    in_twos: bool,
) -> Result<Vec<Arena>, EngineFault> {
    let case = Case::random(params, Flavour::OURS).ok_or(EngineFault::Failed)?;
    // The kernel takes as long to clear memory as half a hash takes, so it had better be memory that is needed
    // later: the reference computes in an arena of the other engine, where that lends it.
    let lender = if Arena::lends(engine) { engine } else { HashEngine::Reference };
    let (reference, fast) = thread::scope(|scope| {
        let reference =
            thread::Builder::new().name("reference".to_owned()).spawn_scoped(scope, || {
                let mut arena = Arena::new(lender, params).ok()?;
                let tag = case.expected(&mut arena)?;
                Some((tag, Some(arena).filter(|_| lender == engine)))
            });
        let fast = || {
            let mut arenas = vec![Arena::new(engine, params).ok()?];
            if in_twos {
                arenas.push(Arena::new(engine, params).ok()?);
            }
            let tags = case.given(&mut arenas)?;
            // On this thread, since the reference takes about twice as long.
            Some((agree_on_small(engine)?, tags, arenas))
        };
        let fast = fast();
        (reference.ok().and_then(|thread| thread.join().ok()).flatten(), fast)
    });
    let (expected, another) = reference.ok_or(EngineFault::Failed)?;
    let (small, given, made) = fast.ok_or(EngineFault::Failed)?;
    if bool::from(small & agree(&expected, &given)) {
        Ok(made.into_iter().chain(another).take(arenas).collect())
    } else {
        Err(EngineFault::Differs)
    }
}

/// The same for the small parameters; `None` if they could not be compared.
fn agree_on_small(engine: HashEngine) -> Option<Choice> {
    let mut agreed = Choice::from(1);
    for (m_kib, t, p) in SMALL {
        let params = Params::in_record(m_kib, t, p).ok()?;
        let mut reference = Arena::new(HashEngine::Reference, params).ok()?;
        let mut arenas = [Arena::new(engine, params).ok()?, Arena::new(engine, params).ok()?];
        for flavour in Flavour::ALL {
            let case = Case::random(params, flavour)?;
            agreed &= agree(&case.expected(&mut reference)?, &case.given(&mut arenas)?);
        }
        let cases = [Case::random(params, Flavour::OURS)?, Case::random(params, Flavour::OURS)?];
        let [one, other] = &mut arenas;
        let given = Case::together([one, other], cases.each_ref())?;
        for (case, given) in cases.iter().zip(&given) {
            agreed &= case.expected(&mut reference)?.ct_eq(given);
        }
    }
    Some(agreed)
}

fn agree(expected: &Tag, given: &[Tag]) -> Choice {
    given.iter().fold(Choice::from(1), |agreed, tag| agreed & expected.ct_eq(tag))
}

/// Random input, and what to make of it.
struct Case {
    params: Params,
    flavour: Flavour,
    password: [u8; 24],
    /// Leaves its traces in the arena.
    another: [u8; 24],
    salt: Salt,
}

impl Case {
    fn random(params: Params, flavour: Flavour) -> Option<Self> {
        let (password, another, salt) = (random()?, random()?, Salt(random()?));
        Some(Self { params, flavour, password, another, salt })
    }

    /// What the reference makes of it.
    fn expected(&self, arena: &mut Arena) -> Option<Tag> {
        let Self { params, flavour, password, salt, .. } = self;
        arena.hash_by_reference(*flavour, password, &salt.0, *params).ok()
    }

    /// What the arenas' engine makes of it, in the first as it is when it is new and as it is when it was used; there, if
    /// there is a second, together with another hash of the same in that. Leaves no traces.
    fn given(&self, arenas: &mut [Arena]) -> Option<Vec<Tag>> {
        // It takes no more than a single pass to leave a trace in every block.
        let single_pass = Params::in_record(self.params.m_kib(), 1, self.params.p()).ok()?;
        let hash = |arena: &mut Arena, password: &[u8], params| {
            arena.hash_as(self.flavour, password, &self.salt.0, params, TAG_LEN).ok()
        };
        // As logins that queue find it: the third hash has the traces of the second below it.
        arenas.iter_mut().for_each(|arena| arena.keep_traces(true));
        let (arena, beside) = arenas.split_first_mut()?;
        let fresh = hash(arena, &self.password, self.params);
        let traces = hash(arena, &self.another, single_pass);
        let used = match beside {
            [] => hash(arena, &self.password, self.params).map(|tag| vec![tag]),
            [beside, ..] => Self::together([arena, beside], [self, self]).map(Vec::from),
        };
        for arena in arenas {
            arena.keep_traces(false);
            arena.wipe();
        }
        let (mut tags, fresh) = (used?, fresh?);
        tags.push(fresh);
        traces.and(Some(tags))
    }

    /// Two, which have parameters and flavour in common.
    fn together(arenas: [&mut Arena; 2], cases: [&Self; 2]) -> Option<[Tag; 2]> {
        let inputs = cases.map(|case| (case.password.as_slice(), case.salt.0.as_slice()));
        Arena::hash_two_as(cases[0].flavour, arenas, inputs, cases[0].params).ok()
    }
}

/// Bytes that nobody has tried before. They are no secret.
fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Params {
        Params::in_record(64, 2, 1).unwrap()
    }

    #[test]
    fn engines_agree_and_their_arenas_are_as_new() {
        for (wanted, in_twos) in (0..5).flat_map(|wanted| [(wanted, false), (wanted, true)]) {
            let (engine, arenas) = HashEngine::fastest_correct(params(), wanted, in_twos).unwrap();
            assert_eq!(engine, HashEngine::Simd);
            let there_are = 1 + usize::from(in_twos) + usize::from(Arena::lends(engine));
            assert_eq!(arenas.len(), wanted.min(there_are));
            for arena in arenas {
                assert!(arena.is_wiped() && !arena.keeps_traces);
                assert_eq!(format!("{arena:?}"), "Arena { engine: Some(Simd), kib: 64 }");
            }
        }
    }

    /// One bit of either tag is enough.
    #[test]
    fn a_difference_is_seen() {
        let case = Case::random(params(), Flavour::OURS).unwrap();
        let expected =
            case.expected(&mut Arena::new(HashEngine::Reference, params()).unwrap()).unwrap();
        let arena = || Arena::new(HashEngine::Simd, params()).unwrap();
        assert_eq!(case.given(&mut [arena()]).unwrap().len(), 2);
        let mut given = case.given(&mut [arena(), arena()]).unwrap();
        assert!(bool::from(agree(&expected, &given)));
        assert_eq!(given.len(), 3);
        for which in 0..3 {
            given[which].expose_mut()[TAG_LEN - 1] ^= 1;
            assert!(!bool::from(agree(&expected, &given)), "tag {which}");
            given[which].expose_mut()[TAG_LEN - 1] ^= 1;
        }
    }

    /// The reference computes the same in memory that it was lent, and leaves nothing in it.
    #[test]
    fn the_reference_in_an_arena_of_the_other_engine() {
        for (m_kib, t, p) in SMALL {
            let params = Params::in_record(m_kib, t, p).unwrap();
            for flavour in Flavour::ALL {
                let case = Case::random(params, flavour).unwrap();
                let mut own = Arena::new(HashEngine::Reference, params).unwrap();
                let mut lent =
                    Arena::new(HashEngine::Simd, Params::in_record(200, 1, 1).unwrap()).unwrap();
                let expected = case.expected(&mut own).unwrap();
                match case.expected(&mut lent) {
                    Some(tag) => assert!(bool::from(expected.ct_eq(&tag)), "{flavour} {params}"),
                    None => assert!(!Arena::lends(HashEngine::Simd)),
                }
                assert!(lent.is_wiped());
            }
        }
        let mut small = Arena::new(HashEngine::Simd, Params::in_record(8, 1, 1).unwrap()).unwrap();
        assert!(Case::random(params(), Flavour::OURS).unwrap().expected(&mut small).is_none());
    }
}
