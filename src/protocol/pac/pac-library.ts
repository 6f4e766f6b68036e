/**
 * The functions that a PAC file may call, as JavaScript for the sandbox: they run
 * under its limits, regular expressions included. The text is a function of what
 * only the host knows:
 *
 * - `resolve(name)`: the addresses of a name, separated by `;`, or null;
 * - `own()`: the addresses of this machine, in the same form;
 * - `inNet(address, prefix)`: whether an address is in a range, both families.
 *
 * The semantics are those of Netscape's description (as on MDN); where it is
 * silent, those that Firefox and Chromium share.
 */
export const PAC_LIBRARY = String.raw`(function (resolve, own, inNet) {
  "use strict";
  var DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
  var MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
  var V4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

  function isV4(text) {
    var parts = V4.exec(text);
    return parts !== null && parts.slice(1).every(function (part) { return Number(part) <= 255; });
  }

  function lookUp(host) {
    return typeof host === "string" ? resolve(host) : null;
  }

  function firstV4(list) {
    if (list === null) return null;
    var found = list.split(";").find(isV4);
    return found === undefined ? null : found;
  }

  function convert_addr(text) {
    var bytes = String(text).split(".").map(Number);
    return ((bytes[0] & 255) << 24) | ((bytes[1] & 255) << 16) | ((bytes[2] & 255) << 8) | (bytes[3] & 255);
  }

  /** The moment as the last argument wants it, and the arguments before it. */
  function readClock(given) {
    var list = Array.prototype.slice.call(given);
    var gmt = String(list[list.length - 1]).toUpperCase() === "GMT";
    if (gmt) list.pop();
    var now = new Date();
    return {
      list: list,
      day: gmt ? now.getUTCDay() : now.getDay(),
      date: gmt ? now.getUTCDate() : now.getDate(),
      month: gmt ? now.getUTCMonth() : now.getMonth(),
      year: gmt ? now.getUTCFullYear() : now.getFullYear(),
      hour: gmt ? now.getUTCHours() : now.getHours(),
      minute: gmt ? now.getUTCMinutes() : now.getMinutes(),
      second: gmt ? now.getUTCSeconds() : now.getSeconds(),
    };
  }

  /** Whether a value is in a range, both ends included. A range whose end is before its begin goes past midnight or new year. */
  function within(value, from, to) {
    return from <= to ? from <= value && value <= to : from <= value || value <= to;
  }

  function kindOfDatePart(part) {
    if (MONTHS.indexOf(String(part).toUpperCase()) >= 0) return "month";
    var number = Number(part);
    if (!Number.isInteger(number) || number < 1) return "";
    return number <= 31 ? "date" : "year";
  }

  /** A day, month and year as one number; parts that are not given do not count. */
  function readDate(parts, clock) {
    var found = { wanted: 0, now: 0, kinds: "", bad: false };
    var given = {};
    parts.forEach(function (part) {
      var kind = kindOfDatePart(part);
      if (kind === "" || given[kind] !== undefined) found.bad = true;
      given[kind] = kind === "month" ? MONTHS.indexOf(String(part).toUpperCase()) : Number(part);
    });
    [["year", 10000], ["month", 100], ["date", 100]].forEach(function (each) {
      var kind = each[0];
      if (given[kind] === undefined) return;
      found.wanted = found.wanted * each[1] + given[kind];
      found.now = found.now * each[1] + clock[kind];
      found.kinds += kind;
    });
    return found;
  }

  var library = {
    isPlainHostName: function (host) {
      return !/[.:]/.test(String(host));
    },
    dnsDomainIs: function (host, domain) {
      return String(host).endsWith(String(domain));
    },
    localHostOrDomainIs: function (host, name) {
      host = String(host);
      name = String(name);
      return host === name || name.startsWith(host + ".");
    },
    isResolvable: function (host) {
      return firstV4(lookUp(host)) !== null;
    },
    isResolvableEx: function (host) {
      return lookUp(host) !== null;
    },
    dnsResolve: function (host) {
      return firstV4(lookUp(host));
    },
    dnsResolveEx: function (host) {
      var list = lookUp(host);
      return list === null ? "" : list;
    },
    isInNet: function (host, pattern, mask) {
      var address = isV4(String(host)) ? String(host) : firstV4(lookUp(host));
      if (address === null || !isV4(String(pattern)) || !isV4(String(mask))) return false;
      return (convert_addr(address) & convert_addr(mask)) === (convert_addr(pattern) & convert_addr(mask));
    },
    isInNetEx: function (host, prefix) {
      var list = lookUp(host);
      return list !== null && list.split(";").some(function (address) { return inNet(address, String(prefix)); });
    },
    myIpAddress: function () {
      var address = firstV4(own());
      return address === null ? "127.0.0.1" : address;
    },
    myIpAddressEx: function () {
      return own();
    },
    sortIpAddressList: function (list) {
      var parts = String(list).split(";").map(function (part) { return part.trim(); });
      var v6 = parts.filter(function (part) { return part.includes(":"); }).sort();
      return v6.concat(parts.filter(function (part) { return !part.includes(":"); }).sort()).join(";");
    },
    dnsDomainLevels: function (host) {
      return String(host).split(".").length - 1;
    },
    convert_addr: convert_addr,
    shExpMatch: function (text, pattern) {
      pattern = String(pattern);
      var glob = function (quoted) { return "^" + quoted.replace(/\*/g, ".*").replace(/\?/g, ".") + "$"; };
      var expression;
      // Brackets, groups and bars work in browsers, which make a regular expression of the pattern as well.
      try {
        expression = new RegExp(glob(pattern.replace(/[.+^$\\{}]/g, "\\$&")), "s");
      } catch (unbalanced) {
        expression = new RegExp(glob(pattern.replace(/[.+^$\\{}()|[\]]/g, "\\$&")), "s");
      }
      return expression.test(String(text));
    },
    weekdayRange: function () {
      var clock = readClock(arguments);
      var days = clock.list.map(function (name) { return DAYS.indexOf(String(name).toUpperCase()); });
      if (days.length < 1 || days.length > 2 || days.includes(-1)) return false;
      return within(clock.day, days[0], days[days.length - 1]);
    },
    dateRange: function () {
      var clock = readClock(arguments);
      var list = clock.list;
      if (list.length < 1 || list.length > 6) return false;
      var half = list.length / 2;
      if (Number.isInteger(half)) {
        var from = readDate(list.slice(0, half), clock);
        var to = readDate(list.slice(half), clock);
        if (!from.bad && !to.bad && from.kinds === to.kinds) {
          // With a year a range does not come again.
          if (from.kinds.includes("year")) return from.wanted <= from.now && from.now <= to.wanted;
          return within(from.now, from.wanted, to.wanted);
        }
      }
      var only = readDate(list, clock);
      return !only.bad && only.wanted === only.now;
    },
    timeRange: function () {
      var clock = readClock(arguments);
      var list = clock.list.map(Number);
      if (list.some(function (number) { return !Number.isInteger(number) || number < 0; })) return false;
      var now = clock.hour * 3600 + clock.minute * 60 + clock.second;
      switch (list.length) {
        case 1:
          return clock.hour === list[0];
        case 2:
          return list[0] === list[1] ? clock.hour === list[0] : within(now, list[0] * 3600, list[1] * 3600 - 1);
        case 4:
          return within(now, list[0] * 3600 + list[1] * 60, list[2] * 3600 + list[3] * 60 + 59);
        case 6:
          return within(now, list[0] * 3600 + list[1] * 60 + list[2], list[3] * 3600 + list[4] * 60 + list[5]);
        default:
          return false;
      }
    },
    getClientVersion: function () {
      return "1.0";
    },
    alert: function () {},
  };
  Object.keys(library).forEach(function (name) {
    Object.defineProperty(globalThis, name, { value: library[name], writable: true, configurable: true, enumerable: false });
  });
})`;
