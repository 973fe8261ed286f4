/* Tables that sort and leave as CSV, figures that leave as SVG, PNG or on a page for PDF, marks that lead to animals. */
"use strict";
function thymusimgSave(blob, name) {
  var link = document.createElement("a"), address = URL.createObjectURL(blob);
  link.href = address; link.download = name.replace(/[^\p{L}\p{N}._+-]+/gu, "_");
  document.body.appendChild(link); link.click(); link.remove();
  setTimeout(function () { URL.revokeObjectURL(address); }, 10000);
}
(function () {
  var all = function (what, where) { return Array.prototype.slice.call((where || document).querySelectorAll(what)); };
  function button(words, name, act) {
    var b = document.createElement("button");
    b.type = "button"; b.textContent = words; b.className = "export"; b.setAttribute("aria-label", name);
    b.addEventListener("click", act);
    return b;
  }

  /* ---- tables ---- */
  all("table.sortable").forEach(function (table) {
    all("thead th", table).forEach(function (th, column) {
      var sort = document.createElement("button");
      sort.type = "button"; sort.className = "sort"; sort.textContent = "⇅";
      sort.setAttribute("aria-label", "Sort by " + th.textContent.trim().replace(/\s+/g, " "));
      th.appendChild(sort);
      sort.addEventListener("click", function () {
        var up = th.getAttribute("aria-sort") !== "ascending", body = table.tBodies[0];
        all("th", table.tHead).forEach(function (other) { other.removeAttribute("aria-sort"); });
        th.setAttribute("aria-sort", up ? "ascending" : "descending");
        var key = function (row) { var cell = row.cells[column]; return !cell ? "" : "v" in cell.dataset ? cell.dataset.v : cell.textContent.trim(); };
        var blank = function (text) { return text === "" || text === "nan"; };
        Array.from(body.rows).sort(function (a, b) {
          var x = key(a), y = key(b);
          if (blank(x) || blank(y)) return blank(x) - blank(y);
          var order = isNaN(x) || isNaN(y) ? x.localeCompare(y, undefined, {numeric: true}) : x - y;
          return up ? order : -order;
        }).forEach(function (row) { body.appendChild(row); });
      });
    });
  });
  function cellText(cell) {
    var copy = cell.cloneNode(true);
    all("button", copy).forEach(function (b) { b.remove(); });
    var text = "v" in cell.dataset ? (cell.dataset.v === "nan" ? "" : cell.dataset.v) : copy.textContent.trim().replace(/\s+/g, " ");
    /* a spreadsheet would run what starts like a formula */
    if (/^[=+\-@\t]/.test(text) && isNaN(text)) text = "'" + text;
    return /[",\n;]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  }
  all("table").forEach(function (table, i) {
    var caption = table.caption ? table.caption.textContent.trim() : "table " + (i + 1), holder = table.closest(".scroll");
    if (!holder) return;
    var bar = document.createElement("div");
    bar.className = "exports";
    bar.appendChild(button("CSV", "Save the table “" + caption + "” as CSV", function () {
      var lines = [];
      Array.from(table.rows).forEach(function (row) {
        var cells = [];
        Array.from(row.cells).forEach(function (cell) { cells.push(cellText(cell)); for (var k = 1; k < cell.colSpan; k++) cells.push(""); });
        lines.push(cells.join(","));
      });
      thymusimgSave(new Blob(["\ufeff" + lines.join("\r\n") + "\r\n"], {type: "text/csv;charset=utf-8"}), caption + ".csv");
    }));
    holder.parentNode.insertBefore(bar, holder);
  });

  /* ---- figures ---- */
  function standalone(figure, svg, name) {
    var copy = svg.cloneNode(true), box = svg.viewBox.baseVal, space = "http://www.w3.org/2000/svg", row = 14;
    var unit = figure.querySelector(".unit"), groups = all(".legend span[data-colour]", figure.parentNode.parentNode);
    /* away from the page a figure must say what it shows, and curves whose they are */
    var coded = figure.parentNode.hasAttribute("data-coded"), head = coded ? 2 * row : row;
    function put(x, y, words, colour, weight) {
      var text = document.createElementNS(space, "text");
      text.setAttribute("x", x); text.setAttribute("y", y); text.setAttribute("font-size", "9.5");
      text.setAttribute("fill", colour); text.setAttribute("font-weight", weight); text.textContent = words;
      copy.appendChild(text);
    }
    put(box.x + 4, box.y - head + 10, name + (unit ? ", " + unit.textContent.trim() : ""), "#000000", "bold");
    if (coded) groups.reduce(function (x, g) {
      var words = "■ " + g.textContent.trim();
      put(x, box.y - 4, words, g.dataset.colour, "normal");
      return x + 5.6 * words.length + 8;
    }, box.x + 4);
    copy.setAttribute("xmlns", space);
    copy.setAttribute("viewBox", [box.x, box.y - head, box.width, box.height + head].join(" "));
    copy.setAttribute("width", box.width + "pt"); copy.setAttribute("height", box.height + head + "pt");
    copy.setAttribute("font-family", "Arial, Helvetica, sans-serif");
    copy.setAttribute("color", "#000");
    all("[data-href]", copy).forEach(function (g) { g.removeAttribute("data-href"); });
    var text = new XMLSerializer().serializeToString(copy);
    return {text: text.replace(/currentColor/g, "#000000").replace(/var\(--paper\)/g, "#ffffff"), width: box.width, height: box.height + head};
  }
  all(".figures figure").forEach(function (figure) {
    var svg = figure.querySelector("svg"), head = figure.querySelector("figcaption b");
    if (!svg) return;
    var name = head ? head.textContent.trim() : "figure", bar = document.createElement("div");
    bar.className = "exports";
    bar.appendChild(button("SVG", name + ": save as SVG", function () {
      thymusimgSave(new Blob(['<?xml version="1.0" encoding="UTF-8"?>\n', standalone(figure, svg, name).text], {type: "image/svg+xml"}), name + ".svg");
    }));
    bar.appendChild(button("PNG", name + ": save as PNG", function () {
      var img = new Image(), box = standalone(figure, svg, name), k = 300 / 72;
      img.onload = function () {
        var c = document.createElement("canvas");
        c.width = Math.round(box.width * k); c.height = Math.round(box.height * k);
        var g = c.getContext("2d");
        g.fillStyle = "#fff"; g.fillRect(0, 0, c.width, c.height); g.drawImage(img, 0, 0, c.width, c.height);
        c.toBlob(function (blob) { thymusimgSave(blob, name + ".png"); });
      };
      img.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(box.text);
    }));
    bar.appendChild(button("PDF", name + ": print this figure alone, or save it as PDF", function () {
      document.body.classList.add("one"); figure.classList.add("this");
      window.print();
      document.body.classList.remove("one"); figure.classList.remove("this");
    }));
    figure.appendChild(bar);
  });

  /* ---- from a mark to its animal, from a word to its definition ---- */
  function reveal() {
    var target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (var e = target; e; e = e.parentElement) if (e.nodeName === "DETAILS") e.open = true;
    target.scrollIntoView();
    if (!target.hasAttribute("tabindex")) target.setAttribute("tabindex", "-1");
    target.focus({preventScroll: true});
  }
  addEventListener("hashchange", reveal);
  reveal();
  all("svg [data-href]").forEach(function (mark) {
    mark.addEventListener("click", function () { location.hash = mark.getAttribute("data-href"); });
  });
  var copy = document.getElementById("copy-methods");
  if (copy) {
    copy.hidden = false;
    copy.addEventListener("click", function () {
      var text = document.getElementById("methods-text"), range = document.createRange(), chosen = getSelection();
      range.selectNodeContents(text); chosen.removeAllRanges(); chosen.addRange(range);
      var done = false;
      try { done = document.execCommand("copy"); } catch (error) { done = false; }
      copy.textContent = done ? "Copied" : "Selected: copy with Ctrl+C";
    });
  }
  var opened = [];
  addEventListener("beforeprint", function () { all("details.print:not([open])").forEach(function (d) { d.open = true; opened.push(d); }); });
  addEventListener("afterprint", function () { opened.splice(0).forEach(function (d) { d.open = false; }); });
})();
