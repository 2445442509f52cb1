package main

import (
	"cmp"
	"slices"

	"skynetes.io/bench/peer/peerv1"
)

// mergeTop adds up the groups of all shards by key and returns the greatest, ties by key; limit 0 means all.
func mergeTop(partials []*peerv1.TopResponse, limit int) []groupJSON {
	sums := make(map[string]*peerv1.Group, 64)
	for _, partial := range partials {
		for _, group := range partial.Groups {
			sum, ok := sums[group.Key]
			if !ok {
				sums[group.Key] = group
				continue
			}
			sum.First += group.First
			sum.Second += group.Second
			sum.Third += group.Third
		}
	}
	all := make([]*peerv1.Group, 0, len(sums))
	for _, group := range sums {
		all = append(all, group)
	}
	slices.SortFunc(all, func(a, b *peerv1.Group) int {
		return cmp.Or(cmp.Compare(b.First, a.First), cmp.Compare(a.Key, b.Key))
	})
	if limit > 0 && len(all) > limit {
		all = all[:limit]
	}
	groups := make([]groupJSON, len(all))
	for i, group := range all {
		groups[i] = groupJSON{Key: group.Key, First: group.First, Second: group.Second, Third: group.Third}
	}
	return groups
}
