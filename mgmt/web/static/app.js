// This script makes the pages livelier. Each page works without it.
"use strict";

(() => {
	const root = document.documentElement;
	const themes = ["auto", "light", "dark"];

	// stored reads and writes the chosen theme. A browser may store nothing.
	const stored = (value) => {
		try {
			if (value !== undefined) localStorage.setItem("theme", value);
			return localStorage.getItem("theme");
		} catch {
			return null;
		}
	};
	const setTheme = (theme) => {
		if (theme === "light" || theme === "dark") root.dataset.theme = theme;
		else delete root.dataset.theme;
	};
	setTheme(stored());

	const prepareTheme = () => {
		const button = document.querySelector("[data-theme-toggle]");
		if (!button) return;
		let theme = themes.includes(stored()) ? stored() : "auto";
		const show = () => { button.textContent = "Theme: " + theme; };
		show();
		button.hidden = false;
		button.addEventListener("click", () => {
			theme = themes[(themes.indexOf(theme) + 1) % themes.length];
			stored(theme);
			setTheme(theme);
			show();
		});
	};

	// zone is the reader's time zone: the one chosen on Time and Date, or the browser's.
	const zone = () => {
		try {
			return localStorage.getItem("zone") || undefined;
		} catch {
			return undefined;
		}
	};
	const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", timeZone: zone() });
	const localTimes = (within) => {
		for (const t of within.querySelectorAll("time[datetime]")) {
			const at = new Date(t.dateTime);
			if (isNaN(at)) continue;
			t.title = t.title || t.textContent;
			const text = day.format(at);
			if (t.textContent !== text) t.textContent = text;
		}
	};

	// morph changes the element into another one, and keeps the equal parts: ticks, focus and
	// selection stay.
	const morph = (from, to) => {
		if (from.dataset && "all" in from.dataset) return;
		for (const { name } of [...from.attributes]) if (!to.hasAttribute(name)) from.removeAttribute(name);
		for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
		const known = new Map();
		for (const child of from.children) if (child.dataset && child.dataset.key) known.set(child.dataset.key, child);
		let at = from.firstChild;
		for (const next of [...to.childNodes]) {
			const key = next.dataset && next.dataset.key;
			let mine = at;
			if (key) {
				mine = known.get(key);
				known.delete(key);
			} else {
				while (mine && mine.dataset && mine.dataset.key) mine = mine.nextSibling;
			}
			if (!mine || mine.nodeType !== next.nodeType || mine.nodeName !== next.nodeName) {
				if (key && from.dataset.settled) next.classList.add("new");
				from.insertBefore(next, at);
				continue;
			}
			if (mine !== at) from.insertBefore(mine, at);
			else at = at.nextSibling;
			if (mine.nodeType !== Node.ELEMENT_NODE) {
				if (mine.data !== next.data) mine.data = next.data;
			} else if (!mine.isEqualNode(next)) morph(mine, next);
		}
		while (at) {
			const gone = at;
			at = at.nextSibling;
			gone.remove();
		}
		if (from.nodeName === "TBODY") from.dataset.settled = "yes";
	};

	// prepareLive refreshes a part of the page, at an interval and after events.
	const prepareLive = () => {
		const live = document.querySelector("[data-live]");
		if (!live) return;
		const choice = document.getElementById("refresh");
		const seconds = () => Number(choice ? choice.value : live.dataset.live || 10);
		for (const body of live.querySelectorAll("tbody")) body.dataset.settled = "yes";
		let timer, last = 0, running = false, again = false;

		const refresh = async () => {
			clearTimeout(timer);
			if (running) {
				again = true;
				return;
			}
			running = true;
			try {
				const to = new URL(location.href);
				to.hash = "";
				to.searchParams.set("fragment", "live");
				const answer = await fetch(to, { redirect: "manual", signal: AbortSignal.timeout(patience) });
				if (answer.type === "opaqueredirect" || answer.status === 401) {
					location.reload(); // the session has ended
					return;
				}
				if (!answer.ok) throw new Error(answer.statusText);
				const parsed = new DOMParser().parseFromString("<div id=live>" + await answer.text() + "</div>", "text/html");
				const next = parsed.getElementById("live");
				for (const a of live.attributes) next.setAttribute(a.name, a.value);
				for (const body of next.querySelectorAll("tbody")) body.dataset.settled = "yes";
				prepare(next);
				morph(live, next);
				prepareTicks();
				counted = performance.now();
				shown(true);
			} catch {
				reach();
			} finally {
				running = false;
				last = Date.now();
				if (again) {
					again = false;
					soon();
				} else plan();
			}
		};
		const plan = () => {
			clearTimeout(timer);
			if (seconds() > 0 && !document.hidden) timer = setTimeout(refresh, seconds() * 1000);
		};
		// soon refreshes immediately, but at most every two seconds.
		const soon = () => {
			clearTimeout(timer);
			if (!document.hidden) timer = setTimeout(refresh, Math.max(150, last + 2000 - Date.now()));
		};
		document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : soon()));
		if (choice) choice.addEventListener("change", () => {
			const to = new URL(location.href);
			to.searchParams.set("refresh", choice.value);
			history.replaceState(null, "", to);
			plan();
		});
		const button = document.querySelector("[data-refresh]");
		if (button) button.addEventListener("click", (e) => {
			const form = button.form, to = new URL(location.href);
			const same = [...new FormData(form)].every(([k, v]) => (to.searchParams.get(k) ?? form.elements[k].defaultValue ?? v) === v);
			if (same && form.elements.q?.value === form.elements.q?.defaultValue) {
				e.preventDefault();
				refresh();
			}
		});
		if ("events" in live.dataset) listen(soon);
		document.addEventListener("refresh", refresh);
		plan();
	};

	// If the daemon cannot be reached, the page says since when, disables its buttons so that no
	// input is lost, and recovers by itself.
	const patience = 10000;
	let down = false, retry, asked;
	const shown = (up) => {
		if (up === !down) return;
		down = !up;
		const notice = document.getElementById("down");
		notice.querySelector("span").textContent = new Date().toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", timeZone: zone() });
		notice.className = up ? "" : "notice wrong";
		notice.hidden = up;
		document.body.classList.toggle("stale", down);
		for (const button of document.querySelectorAll("[type=submit]")) button.disabled = down;
		if (up) document.dispatchEvent(new Event("refresh"));
	};
	const reach = () => asked ??= ask().finally(() => { asked = null; });
	const ask = async () => {
		clearTimeout(retry);
		let up = false;
		try {
			up = (await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(patience) })).ok;
		} catch {
			// the daemon cannot be reached
		}
		shown(up);
		retry = setTimeout(() => (document.hidden ? null : reach()), down ? 2000 : patience);
		return up;
	};
	const prepareReach = () => {
		let sure = false;
		document.addEventListener("submit", async (e) => {
			if (sure || e.defaultPrevented || e.target.matches("[method=dialog]")) return;
			e.preventDefault();
			const { target, submitter } = e;
			if (!await reach()) return;
			sure = true;
			target.requestSubmit(submitter);
			sure = false;
		});
		document.addEventListener("click", (e) => { if (down && e.target.closest("a[href^='/']")) e.preventDefault(); });
		document.addEventListener("visibilitychange", () => { if (!document.hidden) reach(); });
		reach();
	};

	// listen waits for events.
	const listen = (soon) => {
		const latest = document.getElementById("latest");
		const source = new EventSource("/api/v1/events");
		source.addEventListener("error", () => {
			reach();
			// The daemon refused the stream, for example for lack of room. Browsers reconnect by
			// themselves only after a stream was cut off.
			if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(soon), patience);
		});
		const words = { connected: "is connected", disconnected: "is disconnected" };
		source.addEventListener("event", (message) => {
			let e;
			try {
				e = JSON.parse(message.data);
			} catch {
				return;
			}
			if (latest && words[e.event]) {
				const at = new Date(e.at).toLocaleTimeString(undefined, { timeZone: zone() });
				latest.textContent = `${at}: ${e.user || "somebody"} ${words[e.event]}${e.reason ? ": " + e.reason : ""}`;
				latest.hidden = false;
			}
			soon();
		});
		addEventListener("pagehide", () => source.close());
	};

	// Uptimes continue between refreshes.
	let counted = performance.now();
	const uptime = (s) => Math.floor(s / 3600) + ":" + String(Math.floor(s / 60) % 60).padStart(2, "0") + ":" + String(s % 60).padStart(2, "0");
	const runUptimes = () => {
		if (document.hidden || down) return;
		const passed = Math.floor((performance.now() - counted) / 1000);
		for (const cell of document.querySelectorAll("[data-uptime]")) cell.textContent = uptime(Number(cell.dataset.uptime) + passed);
	};

	// prepareTicks has one box tick all boxes of the page, and shows how many are ticked.
	const prepareTicks = () => {
		const all = document.querySelector("[data-all]");
		if (!all) return;
		all.hidden = false;
		const boxes = () => [...all.form.querySelectorAll("input[name=id]")];
		const show = () => {
			const ticked = boxes().filter((b) => b.checked).length;
			all.checked = ticked > 0 && ticked === boxes().length;
			all.indeterminate = ticked > 0 && !all.checked;
			const said = all.form.querySelector("[data-ticked]");
			said.textContent = ticked + " ticked";
			said.hidden = !ticked;
		};
		show();
		if (all.dataset.ready) return;
		all.dataset.ready = "yes";
		all.form.addEventListener("change", (e) => {
			if (e.target === all) boxes().forEach((b) => { b.checked = all.checked; });
			show();
		});
	};

	// prepareDialogs shows the next page of a form in a dialog over the page, if the page has one.
	const prepareDialogs = () => {
		const dialog = document.getElementById("dialog");
		if (!dialog || !dialog.showModal) return;
		document.addEventListener("submit", async (e) => {
			if (!e.target.matches("[data-dialog]")) return;
			e.preventDefault();
			const body = new URLSearchParams(new FormData(e.target, e.submitter));
			body.set("fragment", "dialog");
			let answer;
			try {
				answer = await fetch(e.target.action, { method: "POST", body, redirect: "manual", signal: AbortSignal.timeout(patience) });
			} catch {
				dialog.close();
				reach();
				return;
			}
			if (!answer.ok && answer.status !== 422) {
				location.reload(); // it led back here, with a notice
			} else if (answer.headers.get("Content-Type").startsWith("text/plain")) {
				dialog.close();
				say(await answer.text());
				document.dispatchEvent(new Event("refresh"));
			} else {
				dialog.innerHTML = await answer.text();
				if (!dialog.open) dialog.showModal();
				dialog.querySelector("[autofocus]")?.focus();
			}
		});
		dialog.addEventListener("close", () => dialog.replaceChildren());
		dialog.addEventListener("click", (e) => {
			if (e.target.closest("[data-close]")) {
				e.preventDefault();
				dialog.close();
			}
		});
	};

	// say shows a notice.
	const say = (text) => {
		const notice = document.createElement("p");
		notice.className = "notice";
		notice.setAttribute("role", "status");
		document.querySelector("main > .notice[role=status]")?.remove();
		document.querySelector("main h1").after(notice);
		notice.textContent = text;
	};

	// prepareCopies has buttons copy the text of another element.
	const prepareCopies = () => {
		if (!navigator.clipboard) return;
		for (const button of document.querySelectorAll("[data-copy]")) {
			const from = document.getElementById(button.dataset.copy);
			if (!from) continue;
			button.hidden = false;
			button.addEventListener("click", async () => {
				await navigator.clipboard.writeText(from.value ?? from.textContent);
				button.textContent = "Copied";
			});
		}
	};

	const prepare = (within) => localTimes(within);

	document.addEventListener("DOMContentLoaded", () => {
		prepareTheme();
		prepare(document);
		prepareTicks();
		prepareDialogs();
		prepareReach();
		prepareCopies();
		prepareLive();
		setInterval(runUptimes, 1000);
	});
})();
