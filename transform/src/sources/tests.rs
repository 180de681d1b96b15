use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn ranks_are_the_places_in_order(pairs in prop::collection::vec(("[ab]{0,2}", "[a\0é]{0,3}|x{14}[a-c\0]{0,4}"), 0..30)) {
        let mut known = Sources::default();
        let mut indices = Vec::new();
        for (owner, source) in &pairs {
            let owner = known.owner(owner);
            indices.push(known.source(owner, source));
        }
        let (sources, both) = (known.source_ranks(), known.pair_ranks());
        let names = known.names(&sources);
        for (one, (owner, source)) in indices.iter().zip(&pairs) {
            for (other, (other_owner, other_source)) in indices.iter().zip(&pairs) {
                prop_assert_eq!(sources.of(*one).cmp(&sources.of(*other)), source.cmp(other_source));
                prop_assert_eq!(both.of(*one).cmp(&both.of(*other)), (owner, source).cmp(&(other_owner, other_source)));
            }
            prop_assert_eq!(names.value(sources.of(*one) as usize), source);
        }
    }
}
