// This script makes the forms livelier: a new secret without a new page, running clocks, the
// reader's time zone.
"use strict";

(() => {
	// prepareGenerate puts a new secret into the field immediately.
	const prepareGenerate = () => {
		for (const button of document.querySelectorAll("[data-generate]")) {
			button.addEventListener("click", async (e) => {
				const field = document.getElementById(button.dataset.generate);
				if (!field) return;
				e.preventDefault();
				try {
					const answer = await fetch("/users/-secret", { method: "POST", body: new URLSearchParams({ kind: button.value }), redirect: "manual" });
					if (!answer.ok) throw new Error(answer.statusText);
					field.value = await answer.text();
					field.focus();
					field.select();
				} catch {
					location.reload(); // the session has ended, or the server says why
				}
			});
		}
	};

	// The clocks show the server's clocks, and advance by the time that has passed here.
	const began = performance.now();
	const pad = (n) => String(n).padStart(2, "0");
	const inUTC = (d) => `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())} ${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}:${pad(d.getUTCSeconds())}`;
	const runClocks = (zone) => {
		for (const clock of document.querySelectorAll("[data-clock]")) {
			const now = new Date(Number(clock.dataset.clock) + performance.now() - began);
			if (clock.dataset.zone === "mine") clock.textContent = now.toLocaleString("sv-SE", { timeZone: zone() });
			else if (clock.dataset.offset) clock.textContent = inUTC(new Date(now.getTime() + 1000 * Number(clock.dataset.offset)));
			else clock.textContent = inUTC(now);
		}
	};

	// The browser keeps the reader's time zone, and app.js shows times in it.
	const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
	const zone = () => {
		try {
			return localStorage.getItem("zone") || browserZone;
		} catch {
			return browserZone;
		}
	};
	const prepareZone = () => {
		const select = document.getElementById("zone");
		if (!select) return;
		const names = ["UTC", ...(Intl.supportedValuesOf ? Intl.supportedValuesOf("timeZone") : [])];
		select.append(new Option(`Use Browser Time (${browserZone})`, ""), ...names.map((n) => new Option(n, n)));
		select.value = zone() === browserZone ? "" : zone();
		select.closest("[data-zones]").hidden = false;
		const mine = document.querySelector("[data-mine]");
		const show = () => {
			mine.querySelector("[data-zone-name]").textContent = zone();
			mine.hidden = false;
			runClocks(zone);
		};
		select.addEventListener("change", () => {
			try {
				if (select.value) localStorage.setItem("zone", select.value);
				else localStorage.removeItem("zone");
			} catch {
				// the browser stores nothing, so the choice has no effect
			}
			location.reload();
		});
		show();
	};

	document.addEventListener("DOMContentLoaded", () => {
		prepareGenerate();
		prepareZone();
		if (document.querySelector("[data-clock]")) setInterval(() => runClocks(zone), 1000);
	});
})();
