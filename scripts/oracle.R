# What R's package `surveillance` says about its own data, as one table. Usage: Rscript scripts/oracle.R OUT.csv
# Read by scripts/oracle.py. Columns: data, method, week (from 0, Mondays), day, count, tests, mean (in control: of the
# count, or of the share), limit (upper limit, or the CUSUM's value), alarm, expected, dispersion.
suppressPackageStartupMessages(library(surveillance))

data(salmNewport)
newport <- aggregate(salmNewport, by = "unit")
largest <- salmNewport[, which.max(colSums(observed(salmNewport)))]
data(salmonella.agona)
agona <- sts(salmonella.agona$observed,
  epoch = as.Date("1990-01-01") + 7 * (seq_along(salmonella.agona$observed) - 1), frequency = 52
)

KAPPA <- 2
H <- 4
NB_ALPHA <- 0.15
SIGMA <- 0.02
ODDS <- 2

rows <- list()
add <- function(data, method, series, range, limit, alarm, tests = NA, mean = NA, expected = NA, dispersion = NA) {
  rows[[length(rows) + 1]] <<- data.frame(
    data = data, method = method, week = range - 1, day = format(epoch(series, as.Date = TRUE)[range]),
    count = observed(series)[range, 1], tests = tests, mean = mean, limit = limit, alarm = as.integer(alarm),
    expected = expected, dispersion = dispersion
  )
}

odds_times <- function(p, ratio) plogis(qlogis(p) + log(ratio))
binomial <- function(y, size, mu, log = FALSE) dbinom(y[1, ], size = size, prob = mu[1, ], log = log)
betabinomial <- function(y, size, mu, log = FALSE) {
  a <- mu[1, ] / SIGMA
  b <- (1 - mu[1, ]) / SIGMA
  value <- lchoose(size, y[1, ]) + lbeta(y[1, ] + a, size - y[1, ] + b) - lbeta(a, b)
  if (log) value else exp(value)
}

for (name in c("salmNewport", "salmonella.agona")) {
  series <- if (name == "salmNewport") newport else agona
  y <- observed(series)[, 1]
  weeks <- length(y)
  add(name, "series", series, 1:weeks, limit = NA, alarm = NA)

  # EARS, with the floor that a sparse series needs
  for (method in c("C1", "C2")) {
    range <- (if (method == "C1") 8 else 10):weeks
    got <- earsC(series, control = list(range = range, method = method, baseline = 7, minSigma = 0.5, alpha = 0.001))
    add(name, paste("EARS", method), series, range, upperbound(got)[, 1], alarms(got)[, 1])
  }

  # Likelihood-ratio CUSUM of counts: the mean from the first half, trend and one harmonic, judged in the second half
  t <- seq_len(weeks)
  half <- floor(weeks / 2)
  model <- glm(y ~ t + sin(2 * pi * t / 52) + cos(2 * pi * t / 52), family = poisson, subset = t <= half)
  range <- (half + 1):weeks
  mean <- as.numeric(predict(model, newdata = data.frame(t = range), type = "response"))
  mean <- pmin(mean, 3 * base::mean(y)) # a trend of half the series may run away
  for (alpha in c(0, NB_ALPHA)) {
    got <- glrnb(series, control = list(
      range = range, c.ARL = H, mu0 = mean, alpha = alpha, change = "intercept", theta = log(KAPPA), ret = "value"
    ))
    add(name, if (alpha == 0) "LR-CUSUM Poisson" else "LR-CUSUM negative binomial", series, range,
      upperbound(got)[, 1], alarms(got)[, 1],
      mean = mean
    )
  }

  # Likelihood-ratio CUSUM of shares. Newport: the largest state out of the country's cases. Agona has no denominator:
  # out of a made-up number of tests.
  part <- if (name == "salmNewport") observed(largest)[, 1] else y
  tests <- if (name == "salmNewport") y else pmax(y, 20 + (t * 7) %% 40)
  p0 <- sum(part[t <= half]) / sum(tests[t <= half])
  range <- range[tests[range] > 0] # R's CUSUM divides by the tests
  shares <- sts(cbind(part = part, rest = tests - part),
    epoch = epoch(series, as.Date = TRUE), frequency = 52,
    population = cbind(part = tests, rest = tests), multinomialTS = TRUE
  )
  pi0 <- matrix(rep(c(p0, 1 - p0), length(range)), nrow = 2)
  p1 <- odds_times(p0, ODDS)
  pi1 <- matrix(rep(c(p1, 1 - p1), length(range)), nrow = 2)
  for (dfun in c("binomial", "betabinomial")) {
    # It warns that weeks without cases leave a gap in the calendar, which a CUSUM does not use.
    got <- suppressWarnings(categoricalCUSUM(shares, control = list(
      range = range, h = H, pi0 = pi0, pi1 = pi1, dfun = get(dfun), ret = "value"
    )))
    add(name, paste("LR-CUSUM", dfun), shares, range, upperbound(got)[, 1], alarms(got)[, 1],
      tests = tests[range], mean = p0
    )
  }

  # Farrington flexible, negative binomial plug-in limit
  range <- 221:weeks
  for (alpha in c(0.05, 0.005)) {
    got <- farringtonFlexible(series, control = list(
      range = range, b = 4, w = 3, noPeriods = 10, weightsThreshold = 2.58, pastWeeksNotIncluded = 26,
      pThresholdTrend = 1, thresholdMethod = "nbPlugin", alpha = alpha, limit54 = c(5, 4), glmWarnings = FALSE
    ))
    add(name, paste("Farrington nbPlugin", alpha), series, range, upperbound(got)[, 1], alarms(got)[, 1],
      expected = got@control$expected[, 1], dispersion = got@control$phiVector[, 1]
    )
  }
}

table <- do.call(rbind, rows)
for (column in c("mean", "limit", "expected", "dispersion")) {
  table[[column]] <- ifelse(is.na(table[[column]]), "", format(table[[column]], digits = 16, trim = TRUE))
}
write.csv(table, commandArgs(trailingOnly = TRUE)[1], row.names = FALSE, na = "")
cat(sprintf("R %s, surveillance %s\n", getRversion(), packageVersion("surveillance")))
