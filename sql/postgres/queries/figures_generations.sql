-- Grain: state. For /metrics: how many generations were started, by outcome.
SELECT state, count(*) AS generations
FROM optiinfra.generations
GROUP BY state
