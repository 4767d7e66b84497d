package tracker

import "github.com/shoal-bt/shoal/actor"

// onScrape scrapes every tracker that can be.
func (a *announcer) onScrape(c *actor.Ctx[Message]) {
	for _, s := range a.tiers.sites {
		a.scrape(c.Now(), s)
	}
}

// scrapeIfSilent scrapes a tracker whose announces do not count seeds and leechers,
// now and then.
func (a *announcer) scrapeIfSilent(now actor.Time, s *site) {
	if (s.seeds < 0 || s.leechers < 0 || s.scrapeAt > 0) && now >= s.scrapeAt {
		a.scrape(now, s)
	}
}

func (a *announcer) scrape(now actor.Time, s *site) {
	if _, ok := ScrapeURL(s.url); !ok || s.scraping || s.broken != "" || s.never {
		return
	}
	s.scraping = true
	s.scrapeAt = now.Add(scrapeEvery)
	a.post(flight{site: s, scrape: true}, 0)
}

// scraped takes the answer to a scrape. That it failed says nothing of announces.
func (a *announcer) scraped(s *site, r Response) {
	s.scraping = false
	if r.Err == nil {
		s.count(Counts{r.Seeds, r.Leechers, r.Finished})
	}
}
